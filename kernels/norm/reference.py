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

from ..layout import Groups
from ..prefix import Prefix


def norm(
    x: Tensor,
    residual: Tensor | None,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    eps: float,
) -> Tensor:
    """Add the residual and normalise each group's prefix.

    x, residual: (rows, at least the widest prefix). prefixes: each group's views of one weight (D,)
    and bias (D,), without a bias for RMSNorm; none where the group keeps x as it is.
    rows: which rows belong to which group.
    Returns (rows, width of x), or (rows, width of the prefix) for a single group. What a group
    holds beyond its prefix is unspecified.
    """
    if len(prefixes) == 1 and prefixes[0] is not None:
        return _norm(x, residual, prefixes[0], eps)
    y = x.clone()
    for group, each in zip(rows, prefixes, strict=True):
        if each is not None and group.stop > group.start:
            added = None if residual is None else residual[group]
            y[group, : len(each.weight)] = _norm(x[group], added, each, eps)
    return y


def _norm(x: Tensor, residual: Tensor | None, each: Prefix, eps: float) -> Tensor:
    weight, bias = each
    d = len(weight)
    if x.shape[1] > d:
        x = x[:, :d]
    if residual is not None:
        x = x + (residual if residual.shape[1] == d else residual[:, :d])
    if bias is None:
        return F.rms_norm(x, (d,), weight, eps)
    return F.layer_norm(x, (d,), weight, bias, eps)
