"""Inputs that catch an operation which reads or writes what is not its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nestling.kernels.prefix import Prefix

GUARD = 7
"""Columns beside a matrix's own, filled with NaN."""
TOLERANCE = {torch.float32: 2e-6, torch.float16: 6e-4, torch.bfloat16: 6e-3}
"""Relative RMS error of one operation, by dtype: about the rounding of its result. Triton's
interpreter rounds to bfloat16 towards zero."""


def poisoned(rows: int, columns: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """A strided (rows, columns) view into a buffer whose other columns are NaN."""
    generator = torch.Generator().manual_seed(seed)
    buffer = torch.full((rows, columns + GUARD), float("nan"), dtype=dtype)
    buffer[:, :columns] = torch.randn(rows, columns, generator=generator)
    return buffer[:, :columns]


class Guarded(NamedTuple):
    """A matrix amid a larger one, which is not to be touched.

    whole: NaN wherever `own` is false. view: the matrix that a caller passes, which begins at an
    odd place but for what `guarded` says. own: of whole's shape, what is meant to be read or
    written; it may be less than the view.
    """

    whole: Tensor
    view: Tensor
    own: Tensor


def guarded(own: Tensor, dtype: torch.dtype, seed: int = 0, apart: int = 1) -> Guarded:
    """own: (rows, columns) bool. apart: rows of the whole from one row of the view to the next.

    Matrices with as many columns and another seed have another stride. Where rows follow each
    other and the columns are a multiple of 16, so are the stride and the place of the first.
    """
    rows, columns = own.shape
    aligned = apart == 1 and columns % 16 == 0
    left, right = (16, 16 * (seed + 1)) if aligned else (3, GUARD + seed)
    shape = (2 + rows * apart + 3, left + columns + right)
    at = (slice(2, 2 + rows * apart, apart), slice(left, left + columns))
    whole, mask = torch.full(shape, float("nan"), dtype=dtype), torch.zeros(shape, dtype=torch.bool)
    mask[at] = own
    generator = torch.Generator().manual_seed(seed)
    whole[mask] = torch.randn(int(own.sum()), generator=generator).to(dtype)
    return Guarded(whole, whole[at], mask)


def blocks(rows: int, columns: int, of: Sequence[tuple[slice, int]]) -> Tensor:
    """(rows, columns) bool: true in the leading columns of some rows, as (rows, columns) pairs."""
    own = torch.zeros(rows, columns, dtype=torch.bool)
    for r, width in of:
        own[r, :width] = True
    return own


def prefixes(
    weight: Tensor, bias: Tensor, n: Sequence[int], k: Sequence[int]
) -> list[Prefix | None]:
    """Each group's views of a linear layer; none where n is 0."""
    return [
        Prefix(weight[:n_g, :k_g], bias[:n_g]) if n_g else None
        for n_g, k_g in zip(n, k, strict=True)
    ]


def norm_prefixes(weight: Tensor, bias: Tensor | None, d: Sequence[int]) -> list[Prefix | None]:
    """Each group's views of a norm; none where d is 0."""
    return [
        Prefix(weight[:d_g], None if bias is None else bias[:d_g]) if d_g else None for d_g in d
    ]


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """RMS of the difference over RMS of the expected, in float64."""
    difference = actual.double() - expected.double()
    return (difference.square().mean().sqrt() / expected.double().square().mean().sqrt()).item()


def same(actual: Tensor, expected: Tensor) -> bool:
    """Whether two ways to compute one row give the same: every bit of it on CUDA.

    In Triton's interpreter a product is NumPy's, whose BLAS sums a row in another order beside
    other rows, on some processors; there the difference stays below one rounding of the result.
    """
    if actual.is_cuda:
        return torch.equal(actual, expected)
    return relative_error(actual, expected) < TOLERANCE[actual.dtype]
