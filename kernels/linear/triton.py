"""The same in one Triton launch for all groups: tiles of y, each a loop over k, bias and activation
fused.

A row's result does not depend on its neighbours, bit for bit: every choice of tile walks k in
the same steps, with one float32 accumulator per element and no sum across programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import (
    check_activation,
    check_alike,
    check_covers,
    check_dtype,
    check_matrix,
    check_vector,
)
from ..layout import Groups
from ..multiples import WIDEST, multiple, multiple_of
from ..placed import on_device
from ..prefix import Prefix
from ..tiles import Tile, tile_for
from .reference import ACTIVATIONS

SMALLEST = tl.constexpr(16)
"""Depth of the smallest product that tensor cores do, in any dtype."""


@triton.jit
def activate(x, ACTIVATION: tl.constexpr):
    """One of `ACTIVATIONS`, in float32."""
    if ACTIVATION == "gelu":
        x = 0.5 * x * (1 + tl.erf(x * 0.7071067811865476))
    elif ACTIVATION == "gelu_tanh":
        x = x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    elif ACTIVATION == "relu":
        x = tl.maximum(x, 0)
    elif ACTIVATION == "silu":
        x = x * tl.sigmoid(x)
    elif ACTIVATION == "tanh":
        x = 2 * tl.sigmoid(2 * x) - 1
    return x


@triton.jit
def linear_tile(
    x, w, b, y, x_stride, w_stride, y_stride,
    row, row_end, column, n, k,
    STRIDE_MULTIPLE: tl.constexpr, N_MULTIPLE: tl.constexpr, K_MULTIPLE: tl.constexpr,
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """One tile of y from (row, column) on, within row_end rows and n columns.

    Rows and columns beyond the end repeat the last one, so that the loop needs no mask for
    them; steps along k are masked, for what lies beyond may be NaN: in steps of WIDEST, so that
    every load in the loop is wide, and what is left of an odd k comes after it.
    """
    x_stride = multiple(x_stride, STRIDE_MULTIPLE)
    w_stride = multiple(w_stride, STRIDE_MULTIPLE)
    n = multiple(n, N_MULTIPLE)
    k = multiple(k, K_MULTIPLE)
    rows = row + tl.arange(0, ROWS)
    columns = column + tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    x_rows = tl.minimum(rows, row_end - 1).to(tl.int64) * x_stride
    w_rows = tl.minimum(columns, n - 1).to(tl.int64) * w_stride
    x_tile = x + x_rows[:, None] + depth[None, :]
    w_tile = w + w_rows[None, :] + depth[:, None]
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    wide = k // WIDEST * WIDEST
    for start in range(0, wide, DEPTH):
        inside = depth < wide - start
        x_part = tl.load(x_tile, mask=inside[None, :], other=0.0)
        w_part = tl.load(w_tile, mask=inside[:, None], other=0.0)
        total = tl.dot(x_part, w_part, total, input_precision=PRECISION)
        x_tile += DEPTH
        w_tile += DEPTH
    if K_MULTIPLE < WIDEST and wide < k:
        left = wide + tl.arange(0, SMALLEST)
        x_part = tl.load(x + x_rows[:, None] + left[None, :], mask=left[None, :] < k, other=0.0)
        w_part = tl.load(w + w_rows[None, :] + left[:, None], mask=left[:, None] < k, other=0.0)
        total = tl.dot(x_part, w_part, total, input_precision=PRECISION)
    y_rows = y + rows.to(tl.int64) * multiple(y_stride, N_MULTIPLE)
    there = rows < row_end
    if COLUMNS > 128:  # one half after the other: all at once takes more registers than there are
        first, second = total.reshape(ROWS, 2, COLUMNS // 2).permute(0, 2, 1).split()
        columns = column + tl.arange(0, COLUMNS // 2)
        finish(first, b, y_rows, there, columns, n, ACTIVATION)
        finish(second, b, y_rows, there, columns + COLUMNS // 2, n, ACTIVATION)
    else:
        finish(total, b, y_rows, there, columns, n, ACTIVATION)


@triton.jit
def finish(total, b, y_rows, there, columns, n, ACTIVATION: tl.constexpr):
    """Columns of y from their sums. y_rows: where its rows begin; there: which of them exist."""
    within = columns < n
    total += tl.load(b + columns, mask=within, other=0.0).to(tl.float32)[None, :]
    result = activate(total, ACTIVATION).to(b.dtype.element_ty)
    tl.store(y_rows[:, None] + columns[None, :], result, mask=there[:, None] & within[None, :])


@triton.jit
def place(index, row_tiles, column_tiles, BAND: tl.constexpr):
    """The row tile and column tile of a program: bands of BAND row tiles, column by column.

    Programs that run at the same time share the weight's tile within a band's column, and the
    band's rows of x from one column to the next: both come from L2.
    """
    per_band = BAND * column_tiles
    band = index // per_band
    height = tl.minimum(row_tiles - band * BAND, BAND)
    within = index % per_band
    return band * BAND + within % height, within // height


@triton.jit(do_not_specialize=["x_stride", "w_stride", "y_stride", "rows", "n", "k"])
def sliced_linear_kernel(
    x, w, b, y, x_stride, w_stride, y_stride, rows, n, k,
    STRIDE_MULTIPLE: tl.constexpr, N_MULTIPLE: tl.constexpr, K_MULTIPLE: tl.constexpr,
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, BAND: tl.constexpr,
):  # fmt: skip
    """y[:rows, :n] = act(x[:rows, :k] · w[:n, :k]ᵀ + b[:n]). Grid: one program per tile.

    STRIDE_MULTIPLE: of what the strides of x and w are multiples; N_MULTIPLE: n and the stride of
    y; K_MULTIPLE: k.
    """
    row_tile, column_tile = place(tl.program_id(0), tl.cdiv(rows, ROWS), tl.cdiv(n, COLUMNS), BAND)
    linear_tile(
        x, w, b, y, x_stride, w_stride, y_stride,
        row_tile * ROWS, rows, column_tile * COLUMNS, n, k,
        STRIDE_MULTIPLE, N_MULTIPLE, K_MULTIPLE,
        ACTIVATION, PRECISION, ROWS, COLUMNS, DEPTH,
    )  # fmt: skip


@triton.jit(
    do_not_specialize=[
        *("x_stride", "w_stride", "y_stride", "offsets", "ns", "ks"),
        *("row_tiles", "column_tiles", "groups"),
    ]
)
def grouped_linear_kernel(
    x, w, b, y, x_stride, w_stride, y_stride, offsets, ns, ks, row_tiles, column_tiles, groups,
    STRIDE_MULTIPLE: tl.constexpr, N_MULTIPLE: tl.constexpr, K_MULTIPLE: tl.constexpr,
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, BAND: tl.constexpr,
):  # fmt: skip
    """Each group's rows by its own prefix of w.

    offsets, ns, ks: as `Groups.on`, `on_device`, of so many groups. The multiples: as above, of
    every n and k.
    """
    row_tile, column_tile = place(tl.program_id(0), row_tiles, column_tiles, BAND)
    before = 0
    row = 0
    row_end = 0
    n = 0
    k = 0
    start = 0
    for group in range(groups):
        end = tl.load(offsets + group + 1)
        after = before + tl.cdiv(end - start, ROWS)
        if (row_tile >= before) & (row_tile < after):
            row = start + (row_tile - before) * ROWS
            row_end = end
            n = tl.load(ns + group)
            k = tl.load(ks + group)
        before = after
        start = end
    if column_tile * COLUMNS < n:
        linear_tile(
            x, w, b, y, x_stride, w_stride, y_stride,
            row, row_end, column_tile * COLUMNS, n, k,
            STRIDE_MULTIPLE, N_MULTIPLE, K_MULTIPLE,
            ACTIVATION, PRECISION, ROWS, COLUMNS, DEPTH,
        )  # fmt: skip


def linear(
    x: Tensor,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    activation: str = "none",
    out: Tensor | None = None,
    tile: Tile | None = None,
) -> Tensor:
    """As `reference.linear`, in bfloat16, float16 or float32, accumulated in float32.

    A float32 product is the sum of three tf32 ones (tf32x3): about as near as one in float32, on
    tensor cores. tile: to try another than the one tuned for this shape.
    Raises TypeError or ValueError before launch for tensors that the kernel would misread.
    """
    n = tuple(0 if each is None else each.weight.shape[0] for each in prefixes)
    k = tuple(0 if each is None else each.weight.shape[1] for each in prefixes)
    widest = max(n)
    if out is not None:
        check_covers("out", out, x, widest)
    y = x.new_empty(len(x), widest) if out is None else out
    if not len(x) or not widest:
        return y
    # All groups have views of one weight, which begin where it begins: any of them stands for it.
    weight, bias = next(each for each in prefixes if each is not None)
    _check(x, weight, bias, activation)
    tile = tile or tile_for(x, widest, max(k))
    column_tiles = triton.cdiv(widest, tile.columns)
    multiples = (
        multiple_of(x.stride(0), weight.stride(0)),
        multiple_of(y.stride(0), *n),
        multiple_of(*k),
    )
    if len(prefixes) == 1:
        sliced_linear_kernel[(triton.cdiv(len(x), tile.rows) * column_tiles,)](
            x, weight, bias, y, x.stride(0), weight.stride(0), y.stride(0), len(x), n[0], k[0],
            *multiples, activation, precision(x.dtype), **options(tile),
        )  # fmt: skip
        return y
    row_tiles = triton.cdiv(len(x), tile.rows) + len(rows) - 1  # each group may end mid-tile
    grouped_linear_kernel[(row_tiles * column_tiles,)](
        x, weight, bias, y, x.stride(0), weight.stride(0), y.stride(0),
        rows.on(x.device), on_device(n, x.device), on_device(k, x.device),
        row_tiles, column_tiles, len(rows),
        *multiples, activation, precision(x.dtype), **options(tile),
    )  # fmt: skip
    return y


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> None:
    check_dtype("x", x)
    check_matrix("x", x)
    check_matrix("weight", weight)
    if bias is None:
        raise ValueError("bias: missing; this kernel adds one")
    check_alike(x, weight=weight, bias=bias)
    check_vector("bias", bias, len(weight))
    check_activation(activation, ACTIVATIONS)


def precision(dtype: torch.dtype) -> str:
    """How tensor cores multiply: float32 as the sum of three products of its tf32 parts."""
    return "tf32x3" if dtype == torch.float32 else "ieee"


def options(tile: Tile) -> dict[str, Any]:
    """A tile as a launch takes it."""
    return {
        "ROWS": tile.rows,
        "COLUMNS": tile.columns,
        "DEPTH": tile.depth,
        "BAND": tile.band,
        "num_warps": tile.warps,
        "num_stages": tile.stages,
    }
