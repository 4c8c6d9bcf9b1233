"""The same in one Triton launch: a program per row, which finds its group on the device."""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_alike, check_covers, check_dtype, check_matrix, check_vector
from ..layout import Groups
from ..multiples import multiple, multiple_of
from ..placed import on_device
from ..prefix import Prefix

COLUMNS = 512
"""Columns that a program, one warp, holds at a time."""


@triton.jit(
    do_not_specialize=[
        *("x_stride", "residual_stride", "y_stride", "offsets", "ds", "width", "groups"),
    ]
)
def norm_kernel(
    x, residual, weight, bias, y, x_stride, residual_stride, y_stride, offsets, ds, width, groups,
    eps,
    STRIDE_MULTIPLE: tl.constexpr, D_MULTIPLE: tl.constexpr,
    ADD: tl.constexpr, CENTRE: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One row. ADD: whether there is a residual. CENTRE: LayerNorm rather than RMSNorm.

    offsets, ds: as `Groups.on` and `on_device`, of so many groups. width: columns of a row that is
    kept as it is. STRIDE_MULTIPLE: of what the strides are multiples; D_MULTIPLE: ds and width.

    The first COLUMNS stay in registers; what a wider row has beyond them is read three times,
    twice from the cache. Columns are summed in the same order however wide other rows are, so
    that a student's row has the same bits alone and beside wider ones.
    """
    row = tl.program_id(0)
    d = 0
    start = 0
    for group in range(groups):
        end = tl.load(offsets + group + 1)
        d = tl.where((row >= start) & (row < end), tl.load(ds + group), d)
        start = end
    d = multiple(d, D_MULTIPLE)
    width = multiple(width, D_MULTIPLE)
    x += row.to(tl.int64) * multiple(x_stride, STRIDE_MULTIPLE)
    y += row.to(tl.int64) * multiple(y_stride, STRIDE_MULTIPLE)
    if ADD:
        residual += row.to(tl.int64) * multiple(residual_stride, STRIDE_MULTIPLE)
    columns = tl.arange(0, COLUMNS)
    if d == 0:
        for at in range(0, width, COLUMNS):
            kept = tl.load(x + at + columns, mask=at + columns < width)
            tl.store(y + at + columns, kept, mask=at + columns < width)
    else:
        first = added(x, residual, columns, d, ADD)
        if CENTRE:
            total = first
            for at in range(COLUMNS, d, COLUMNS):
                total += added(x, residual, at + columns, d, ADD)
            mean = tl.sum(total) / d
        else:
            mean = 0.0
        squares = squared(first - mean, columns, d)
        for at in range(COLUMNS, d, COLUMNS):
            squares += squared(added(x, residual, at + columns, d, ADD) - mean, at + columns, d)
        scale = tl.rsqrt(tl.sum(squares) / d + eps)
        write((first - mean) * scale, weight, bias, y, columns, d, CENTRE)
        for at in range(COLUMNS, d, COLUMNS):
            values = (added(x, residual, at + columns, d, ADD) - mean) * scale
            write(values, weight, bias, y, at + columns, d, CENTRE)


@triton.jit
def added(x, residual, columns, d, ADD: tl.constexpr):
    """Columns of the sum of a row and its residual, in float32; 0 beyond d."""
    values = tl.load(x + columns, mask=columns < d, other=0.0).to(tl.float32)
    if ADD:
        values += tl.load(residual + columns, mask=columns < d, other=0.0).to(tl.float32)
    return values


@triton.jit
def squared(values, columns, d):
    """Their squares; 0 beyond d."""
    return tl.where(columns < d, values * values, 0.0)


@triton.jit
def write(values, weight, bias, y, columns, d, CENTRE: tl.constexpr):
    """Columns of y: normalised values, times their weights, plus their biases."""
    values *= tl.load(weight + columns, mask=columns < d, other=0.0).to(tl.float32)
    if CENTRE:
        values += tl.load(bias + columns, mask=columns < d, other=0.0).to(tl.float32)
    tl.store(y + columns, values.to(y.dtype.element_ty), mask=columns < d)


def norm(
    x: Tensor,
    residual: Tensor | None,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    eps: float,
) -> Tensor:
    """As `reference.norm`, in bfloat16, float16 or float32, summed in float32.

    Raises TypeError or ValueError before launch for tensors that the kernel would misread.
    """
    d = tuple(0 if each is None else len(each.weight) for each in prefixes)
    single = len(d) == 1 and d[0] > 0
    y = x.new_empty(len(x), d[0] if single else x.shape[1])
    given = [each for each in prefixes if each is not None]
    if not given:
        return x.clone()
    if not y.numel():
        return y
    # All groups have views of one weight, which begin where it begins: any of them stands for it.
    weight, bias = given[0]
    _check(x, residual, weight, bias, max(d))
    strides = x.stride(0), 0 if residual is None else residual.stride(0), y.stride(0)
    norm_kernel[(len(x),)](
        x, residual, weight, bias, y, *strides,
        rows.on(x.device), on_device(d, x.device), y.shape[1], len(rows), eps,
        multiple_of(*strides), multiple_of(y.shape[1], *d),
        residual is not None, bias is not None, COLUMNS, num_warps=1,
    )  # fmt: skip
    return y


def _check(
    x: Tensor, residual: Tensor | None, weight: Tensor, bias: Tensor | None, widest: int
) -> None:
    check_dtype("x", x)
    check_matrix("x", x)
    check_alike(x, weight=weight, bias=bias)
    if residual is not None:
        check_covers("residual", residual, x, widest)
    check_vector("weight", weight, len(weight))
    if bias is not None:
        check_vector("bias", bias, len(weight))
