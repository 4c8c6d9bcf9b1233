"""The same in one Triton launch: a program per row, which finds its group on the device."""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_alike, check_covers, check_dtype, check_matrix, check_vector
from ..layout import Groups, on_device
from ..prefix import Prefix

WIDEST = 16384
"""Columns that a program holds at most."""


@triton.jit
def norm_kernel(
    x, residual, weight, bias, y, x_stride, residual_stride, y_stride, offsets, ds, width, eps,
    GROUPS: tl.constexpr, ADD: tl.constexpr, CENTRE: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One row. ADD: whether there is a residual. CENTRE: LayerNorm rather than RMSNorm.

    offsets, ds: as `Groups.on` and `on_device`. width: columns of a row that is kept as it is.
    """
    row = tl.program_id(0)
    d = 0
    for group in tl.static_range(GROUPS):
        inside = (row >= tl.load(offsets + group)) & (row < tl.load(offsets + group + 1))
        d = tl.where(inside, tl.load(ds + group), d)
    columns = tl.arange(0, COLUMNS)
    x += row.to(tl.int64) * x_stride
    y += row.to(tl.int64) * y_stride
    if d == 0:
        kept = tl.load(x + columns, mask=columns < width)
        tl.store(y + columns, kept, mask=columns < width)
    else:
        within = columns < d
        values = tl.load(x + columns, mask=within, other=0.0).to(tl.float32)
        if ADD:
            residual += row.to(tl.int64) * residual_stride
            values += tl.load(residual + columns, mask=within, other=0.0).to(tl.float32)
        if CENTRE:
            values = tl.where(within, values - tl.sum(values) / d, 0.0)
        scale = tl.rsqrt(tl.sum(values * values) / d + eps)
        values *= scale * tl.load(weight + columns, mask=within, other=0.0).to(tl.float32)
        if CENTRE:
            values += tl.load(bias + columns, mask=within, other=0.0).to(tl.float32)
        tl.store(y + columns, values.to(y.dtype.element_ty), mask=within)


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
    columns = triton.next_power_of_2(y.shape[1])
    norm_kernel[(len(x),)](
        x, residual, weight, bias, y,
        x.stride(0), 0 if residual is None else residual.stride(0), y.stride(0),
        rows.on(x.device), on_device(d, x.device), y.shape[1], eps,
        len(rows), residual is not None, bias is not None, columns,
        num_warps=warps(columns),
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
    if x.shape[1] > WIDEST:
        raise ValueError(f"x: {x.shape[1]} columns; a program holds at most {WIDEST}")


def warps(columns: int) -> int:
    """As many as share the columns of a row without running out of registers."""
    return min(16, max(1, columns // 512))
