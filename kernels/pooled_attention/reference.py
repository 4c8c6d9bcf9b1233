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
from ..prefix import Prefix


def pooled_attention(
    q: Tensor,
    x: Tensor,
    key: Sequence[Prefix | None],
    value: Sequence[Prefix | None],
    queries: Layout,
    keys: Layout,
    head_dim: int,
    out: Tensor | None = None,
) -> Tensor:
    """Attend from each sequence's one query to its hidden rows.

    q: (query rows, at least the widest output of `key`). x: (key rows, at least its widest input).
    key, value: each group's views of one weight (H · head_dim, D) and bias (H · head_dim,), whole
    heads of the same number in both; none where the group is skipped.
    queries, keys: layouts with the same sequences and groups; a group that takes part has one
    query row per sequence.
    out: where to write, (query rows, at least the widest output), the other groups' rows kept.
    Returns (query rows, widest output), or `out`.
    """

    if len(key) == 1 and key[0] is not None and value[0] is not None:
        return _attend(q, x, key[0].weight, value[0], queries, keys, head_dim)
    if out is None:
        out = q.new_empty(len(q), max(0 if k is None else len(k.weight) for k in key))
    for group, (k, v) in enumerate(zip(key, value, strict=True)):
        if k is not None and v is not None and keys.groups[group]:
            asking, offered = queries.rows[group], keys.rows[group]
            out[asking, : len(k.weight)] = _attend(
                q[asking], x[offered], k.weight, v,
                queries.parts[group], keys.parts[group], head_dim,
            )  # fmt: skip
    return out


def _attend(
    q: Tensor,
    x: Tensor,
    w_k: Tensor,
    value: Prefix,
    queries: Layout,
    keys: Layout,
    head_dim: int,
) -> Tensor:
    (width, d), sequences, (w_v, b_v) = w_k.shape, len(q), value
    heads, q, x = width // head_dim, q[:, :width], x[:, :d]
    asked = torch.einsum("shc,hcd->shd", q.view(sequences, heads, -1), w_k.view(heads, -1, d))
    mixed = _mix(asked, x, queries, keys, head_dim**-0.5)
    values = torch.einsum("shd,hcd->shc", mixed, w_v.view(heads, -1, d))
    mixed = values.reshape(sequences, width)
    return mixed if b_v is None else mixed + b_v


def _mix(asked: Tensor, x: Tensor, queries: Layout, keys: Layout, scale: float) -> Tensor:
    """softmax(asked · xᵀ · scale) · x for each sequence: (sequences, heads, d)."""
    if len(keys.alike) == 1:
        return _mix_padded(asked, x, keys, scale)
    asking, back = queries.split(keys.alike)
    offering, _ = keys.split(keys.alike)
    mixed = []
    for asks, offers in zip(asking, offering, strict=True):
        rows = asked.index_select(0, asks.rows.on(x.device))
        offered = x.index_select(0, offers.rows.on(x.device))
        mixed.append(_mix_padded(rows, offered, offers.layout, scale))
    return torch.cat(mixed).index_select(0, back.on(x.device))


def _mix_padded(asked: Tensor, x: Tensor, keys: Layout, scale: float) -> Tensor:
    """As `_mix`, all sequences padded to the longest."""
    if not keys.uniform:
        x = x.index_select(0, keys.on(x.device).padded_rows)
    x = x.reshape(len(asked), keys.longest, -1)
    scores = torch.bmm(asked, x.transpose(1, 2)) * scale
    if not keys.uniform:
        hidden = ~keys.on(x.device).padded_mask[:, None, :]
        scores = scores.masked_fill(hidden, float("-inf"))
    weights = torch.softmax(scores.float(), dim=-1).to(x.dtype)
    return torch.bmm(weights, x)
