"""The same in half precision on a CPU, rounded as on a GPU.

There, scores and sums stay in float32. Two things are rounded: what the values are multiplied by,
exp(score − highest score), and what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
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
    """As `reference.attention`, in bfloat16 or float16. out: where to write, else new."""
    y = q.new_empty(len(q), max(heads) * head_dim) if out is None else out
    for group, count in enumerate(heads):
        if not count or not queries.groups[group]:
            continue
        width, r, s = count * head_dim, queries.rows[group], keys.rows[group]
        asking, offering = real_rows(queries.parts[group]), real_rows(keys.parts[group])
        mixed = _attend(
            _by_head(q[r, :width], asking, count),
            _by_head(k[s, :width], offering, count),
            _by_head(v[s, :width], offering, count),
            offering,
            q.dtype,
        )
        y[r, :width] = mixed.transpose(1, 2).flatten(2)[asking].to(q.dtype)
    return y


def real_rows(layout: Layout) -> Tensor:
    """Where a grid (sequences, longest) holds a row of one group's layout: bool."""
    return torch.arange(layout.longest) < torch.tensor(layout.lengths)[:, None]


def on_grid(x: Tensor, real: Tensor) -> Tensor:
    """(rows, width) → (sequences, longest, width) in float32, zeros where no row lies."""
    padded = x.new_zeros(*real.shape, x.shape[1], dtype=torch.float32)
    padded[real] = x.float()
    return padded


def _by_head(x: Tensor, real: Tensor, heads: int) -> Tensor:
    """(rows, width) → (sequences, heads, longest, head_dim) in float32."""
    return on_grid(x, real).view(*real.shape, heads, -1).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
    """q, k, v: as `_by_head` has them. real: of the keys. Returns q's shape, in float32."""
    return weighed(q @ k.transpose(2, 3) * q.shape[3] ** -0.5, v, real[:, None, None, :], dtype)


def weighed(scores: Tensor, values: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
    """softmax(scores) · values in float32, but for the weights that multiply, which are of `dtype`.

    scores: (…, queries, keys). values: (…, keys, width). real: (…, 1, keys), whether it is a key.
    """
    scores = scores.masked_fill(~real, float("-inf"))
    weights = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    return weights.to(dtype).float() @ values / weights.sum(dim=-1, keepdim=True)
