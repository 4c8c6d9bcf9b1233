"""The same in one Triton launch: a program per row, which finds its group on the device."""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_alike, check_dtype, check_matrix, check_rows, check_widths
from ..groups import Groups, on_device

WIDEST = 16384
"""Columns that a program holds at most."""


@triton.jit
def grouped_add_norm_kernel(
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


def grouped_add_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    rows: Groups,
    d: Sequence[int],
    eps: float,
) -> Tensor:
    """As `reference.grouped_add_norm`, in bfloat16, float16 or float32, summed in float32.

    Raises TypeError or ValueError before launch, naming the argument that does not fit.
    """
    check_dtype("x", x)
    check_matrix("x", x)
    check_rows(x, rows.offsets)
    check_alike(x, residual=residual, weight=weight, bias=bias)
    limit = min(len(weight), x.shape[1], WIDEST)
    check_widths("d", d, limit, len(rows), "the length of weight, x and what a program holds")
    if residual is not None:
        check_matrix("residual", residual)
        if len(residual) != len(x) or residual.shape[1] < max(d):
            raise ValueError(
                f"residual: {tuple(residual.shape)}; it must be {len(x)} × at least {max(d)}"
            )
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and (vector.dim() != 1 or vector.stride(0) != 1):
            raise ValueError(f"{name}: it must be one row of adjacent numbers")
    single = len(rows) == 1 and d[0] > 0
    y = x.new_empty(len(x), d[0] if single else x.shape[1])
    if not y.numel():
        return y
    columns = triton.next_power_of_2(y.shape[1])
    grouped_add_norm_kernel[(len(x),)](
        x, residual, weight, bias, y,
        x.stride(0), 0 if residual is None else residual.stride(0), y.stride(0),
        rows.on(x.device), on_device(tuple(d), x.device), y.shape[1], eps,
        len(rows), residual is not None, bias is not None, columns,
        num_warps=warps(columns),
    )  # fmt: skip
    return y


def warps(columns: int) -> int:
    """As many as share the columns of a row without running out of registers."""
    return min(16, max(1, columns // 512))
