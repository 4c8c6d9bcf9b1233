"""y[rows_g, :d_g] = norm(x[rows_g, :d_g] + r[rows_g, :d_g]) for each group g.

Mean and variance are those of the prefix alone: a student that is d wide never sees the
columns beyond d, neither in training nor in serving.

    LayerNorm (Ba et al. 2016, arXiv 1607.06450):  (s − mean s) / √(var s + ε) · w + b
    RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467):  s / √(mean s² + ε) · w
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ..checks import check_rows, check_widths
from ..groups import Groups
from ..prefix import prefix


def grouped_add_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    rows: Groups,
    d: Sequence[int],
    eps: float,
) -> Tensor:
    """Add the residual and normalise each group's prefix.

    x, residual: (rows, at least max d). weight: (D,). bias: (D,), or none for RMSNorm.
    rows: which rows belong to which group. d: each group's width; a group with d = 0 keeps x.
    Returns (rows, width of x), or (rows, d) for a single group. What a group holds beyond its d
    is unspecified. Raises ValueError for rows that are not those of x, and for a d beyond D.
    """
    check_rows(x, rows.offsets)
    check_widths("d", d, min(len(weight), x.shape[1]), len(rows), "the length of weight, and x")
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
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor | None, d: int, eps: float
) -> Tensor:
    x = prefix(x, len(x), d)
    if residual is not None:
        x = x + prefix(residual, len(x), d)
    if bias is None:
        return F.rms_norm(x, (d,), prefix(weight, d), eps)
    return F.layer_norm(x, (d,), prefix(weight, d), prefix(bias, d), eps)
