"""Attention of a single query per sequence, read straight from the hidden rows.

With one query q per sequence and head, keys and values need not be computed per token:

    q · (W_k x_t + b_k) = (W_kᵀ q) · x_t + q · b_k     (the last term is the same for all t)
    Σ a_t (W_v x_t + b_v) = W_v (Σ a_t x_t) + b_v      (Σ a_t = 1)

so a token costs 2 · d multiply-adds per head instead of 2 · d · head_dim, and the products
with W_k and W_v are paid once per sequence. Exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..layout import Layout
from ..prefix import prefix


def pooled_attention(
    q: Tensor,
    x: Tensor,
    key_weight: Tensor,
    value_weight: Tensor,
    value_bias: Tensor,
    queries: Layout,
    keys: Layout,
    heads: Sequence[int],
    d: Sequence[int],
    head_dim: int,
    out: Tensor | None = None,
) -> Tensor:
    """Attend from each sequence's one query to its hidden rows.

    q: (query rows, at least max heads · head_dim). x: (key rows, at least max d).
    key_weight, value_weight: (H · head_dim, D). value_bias: (H · head_dim,).
    queries, keys: layouts with the same sequences and groups; a group that takes part has one
    query row per sequence. heads, d: each group's heads and width; 0 heads skips the group.
    out: where to write, (query rows, at least max heads · head_dim), the other groups' rows kept.
    Returns (query rows, max heads · head_dim), or `out`.
    """

    def attend(g: int) -> Tensor:
        width = heads[g] * head_dim
        return _attend(
            q[queries.rows[g], :width],
            x[keys.rows[g], : d[g]],
            prefix(key_weight, width, d[g]),
            prefix(value_weight, width, d[g]),
            prefix(value_bias, width),
            keys.parts[g],
            heads[g],
        )

    if len(heads) == 1:
        return attend(0)
    if out is None:
        out = q.new_empty(len(q), max(heads) * head_dim)
    for g, h in enumerate(heads):
        if h and keys.groups[g]:
            out[queries.rows[g], : h * head_dim] = attend(g)
    return out


def _attend(
    q: Tensor, x: Tensor, w_k: Tensor, w_v: Tensor, b_v: Tensor, keys: Layout, heads: int
) -> Tensor:
    sequences, width = q.shape
    head_dim, d = width // heads, x.shape[1]
    if not keys.uniform:
        x = x.index_select(0, keys.on(x.device).padded_rows)
    x = x.reshape(sequences, keys.longest, d)
    asked = torch.einsum("shc,hcd->shd", q.view(sequences, heads, -1), w_k.view(heads, -1, d))
    scores = torch.bmm(asked, x.transpose(1, 2)) * head_dim**-0.5
    if not keys.uniform:
        hidden = ~keys.on(x.device).padded_mask[:, None, :]
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores.float(), dim=-1).to(x.dtype)
    mixed = torch.bmm(weights, x)  # (sequences, heads, d)
    values = torch.einsum("shd,hcd->shc", mixed, w_v.view(heads, -1, d))
    return values.reshape(sequences, width) + b_v
