"""y[rows_g, :n_g] = act(x[rows_g, :k_g] · W[:n_g, :k_g]ᵀ + b[:n_g]) for each group g.

The weight is read in place, through views: no group owns a copy of its slice.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..checks import check_rows, check_widths
from ..groups import Groups
from ..sliced_linear import sliced_linear


def grouped_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Groups,
    n: Sequence[int],
    k: Sequence[int],
    activation: str = "none",
    out: Tensor | None = None,
) -> Tensor:
    """Apply a prefix of one weight to each group of rows.

    x: (rows, at least max k), floating. Columns of a group beyond its k are not read.
    weight: (N, K), the same dtype. bias: (N,).
    rows: which rows belong to which group. n, k: each group's output and input width;
    a group with n = 0 is skipped.
    activation: a name in `ACTIVATIONS`.
    out: where to write, (rows, at least max n); a group's columns beyond its n are left alone.
    Returns (rows, max n), or `out`. What a group holds beyond its n is unspecified in the former.
    Raises ValueError for rows that are not those of x, and for a width beyond the weight.
    """
    check_rows(x, rows.offsets)
    if len(rows) == 1 and n[0]:  # nobody to share the result with
        return sliced_linear(x, weight, bias, n[0], k[0], activation, out)
    check_widths("n", n, weight.shape[0], len(rows), "the rows of weight")
    check_widths("k", k, min(weight.shape[1], x.shape[1]), len(rows), "the columns of weight and x")
    y = x.new_empty(len(x), max(n)) if out is None else out
    for r, n_g, k_g in zip(rows, n, k, strict=True):
        if n_g and r.stop > r.start:
            sliced_linear(x[r], weight, bias, n_g, k_g, activation, out=y[r])
    return y
