"""y[rows_g, :d_g] = LayerNorm(x[rows_g, :d_g] + r[rows_g, :d_g]) for each group g.

Mean and variance are those of the prefix alone: a student that is d wide never sees the
columns beyond d, neither in training nor in serving.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def grouped_add_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    rows: Sequence[slice],
    d: Sequence[int],
    eps: float,
) -> Tensor:
    """Add the residual and normalise each group's prefix.

    x, residual: (rows, at least max d). weight, bias: (D,).
    rows: each group's rows, in order. d: each group's width; a group with d = 0 keeps x.
    Returns (rows, width of x). What a group holds beyond its d is unspecified.
    """
    if len(rows) == 1 and d[0]:
        return _norm(x, residual, weight, bias, slice(None), d[0], eps)
    y = x.clone()
    for r, d_g in zip(rows, d, strict=True):
        if d_g and r.stop > r.start:
            y[r, :d_g] = _norm(x, residual, weight, bias, r, d_g, eps)
    return y


def _norm(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, r: slice, d: int, eps: float
) -> Tensor:
    total = x[r, :d] if residual is None else x[r, :d] + residual[r, :d]
    return F.layer_norm(total, (d,), weight[:d], bias[:d], eps)
