"""softmax(Q Kᵀ / √head_dim) V per sequence and head, by torch's scaled dot product attention.

For the product alone, sequences are padded to the longest of those in their group that are about
as long; the padding is masked and removed again, so a row never depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layout import Layout


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    queries: Layout,
    keys: Layout,
    heads: Sequence[int],
    head_dim: int,
    out: Tensor | None = None,
) -> Tensor:
    """Attend within each sequence.

    q: (query rows, at least max heads · head_dim). k, v: (key rows, the same).
    queries, keys: layouts with the same sequences and groups; a sequence may ask from fewer
    rows than it offers as keys. heads: each group's number of heads; 0 skips the group.
    out: where to write, (query rows, at least max heads · head_dim), the other groups' rows kept.
    Returns (query rows, max heads · head_dim), or `out`. What a group holds beyond its heads is
    unspecified in the former.
    """
    if len(heads) == 1 and out is None:
        return _attend(q, k, v, queries, keys, heads[0], head_dim)
    y = q.new_empty(len(q), max(heads) * head_dim) if out is None else out
    for g, h in enumerate(heads):
        if h and queries.groups[g]:
            width, r, s = h * head_dim, queries.rows[g], keys.rows[g]
            y[r, :width] = _attend(
                q[r, :width],
                k[s, :width],
                v[s, :width],
                queries.parts[g],
                keys.parts[g],
                h,
                head_dim,
            )
    return y


def _attend(
    q: Tensor, k: Tensor, v: Tensor, queries: Layout, keys: Layout, heads: int, head_dim: int
) -> Tensor:
    if len(keys.alike) == 1:
        return _attend_padded(q, k, v, queries, keys, heads, head_dim)
    asking, back = queries.split(keys.alike)
    offering, _ = keys.split(keys.alike)
    attended = []
    for asks, offers in zip(asking, offering, strict=True):
        r, s = asks.rows.on(q.device), offers.rows.on(q.device)
        parts = q.index_select(0, r), k.index_select(0, s), v.index_select(0, s)
        attended.append(_attend_padded(*parts, asks.layout, offers.layout, heads, head_dim))
    return torch.cat(attended).index_select(0, back.on(q.device))


def _attend_padded(
    q: Tensor, k: Tensor, v: Tensor, queries: Layout, keys: Layout, heads: int, head_dim: int
) -> Tensor:
    """As `_attend`, all sequences in one grid."""
    mask = None if keys.uniform else keys.on(q.device).padded_mask[:, None, None, :]
    y = F.scaled_dot_product_attention(
        _pad(q, queries, heads, head_dim),
        _pad(k, keys, heads, head_dim),
        _pad(v, keys, heads, head_dim),
        attn_mask=mask,
    )
    flat = y.transpose(1, 2).reshape(-1, heads * head_dim)
    return flat if queries.uniform else flat[queries.on(q.device).padded_positions]


def _pad(x: Tensor, layout: Layout, heads: int, head_dim: int) -> Tensor:
    """(rows, heads · head_dim) → (sequences, heads, longest, head_dim), zeros where no row lies."""
    width = heads * head_dim
    x = x[:, :width]
    if not layout.uniform:
        grid = x.new_zeros(len(layout.lengths) * layout.longest, width)
        x = grid.index_copy(0, layout.on(x.device).padded_positions, x)
    return x.reshape(-1, layout.longest, heads, head_dim).transpose(1, 2)
