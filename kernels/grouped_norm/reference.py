"""y[rows_g, :d_g] = LayerNorm(x[rows_g, :d_g] + r[rows_g, :d_g]) for each group g.

Mean and variance are those of the prefix alone: a student that is d wide never sees the
columns beyond d, neither in training nor in serving.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ..prefix import prefix


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
        return _norm(x, residual, weight, bias, d[0], eps)
    y = x.clone()
    for r, d_g in zip(rows, d, strict=True):
        if d_g and r.stop > r.start:
            y[r, :d_g] = _norm(
                x[r], None if residual is None else residual[r], weight, bias, d_g, eps
            )
    return y


def _norm(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor, d: int, eps: float
) -> Tensor:
    x = prefix(x, len(x), d)
    if residual is not None:
        x = x + prefix(residual, len(x), d)
    return F.layer_norm(x, (d,), prefix(weight, d), prefix(bias, d), eps)
