"""The same on CUDA by torch's attention for sequences of various lengths, without padding.

One launch per group, over its own heads. In float32, and for heads that are no multiple of 8 wide,
which that attention does not take, our own kernel stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from ..layout import Layout
from . import triton


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
    """As `reference.attention`."""
    if q.dtype == torch.float32 or head_dim % 8:
        return triton.attention(q, k, v, queries, keys, heads, head_dim, out)
    y = q.new_empty(len(q), max(heads) * head_dim) if out is None else out
    for g, h in enumerate(heads):
        if not h or not queries.groups[g]:
            continue
        width, r, of = h * head_dim, queries.rows[g], queries.members[g]
        starts = slice(of.start, of.stop + 1)  # of rows in the whole batch, not in the group
        attended: Any = varlen_attn(
            q[:, :width].view(-1, h, head_dim),
            k[:, :width].view(-1, h, head_dim),
            v[:, :width].view(-1, h, head_dim),
            queries.bounds.on(q.device)[starts],
            keys.bounds.on(q.device)[starts],
            queries.parts[g].longest,
            keys.parts[g].longest,
        )
        y[r, :width].view(-1, h, head_dim).copy_(attended[r])
    return y
