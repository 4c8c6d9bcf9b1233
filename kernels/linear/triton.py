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
from ..layout import Groups, on_device
from ..prefix import Prefix
from ..tiles import Tile, tile_for
from .reference import ACTIVATIONS


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
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """One tile of y from (row, column) on, within row_end rows and n columns.

    Rows and columns beyond the end repeat the last one, so that the loop needs no mask for
    them; only the last, incomplete step along k is masked, for what lies beyond may be NaN.
    """
    rows = row + tl.arange(0, ROWS)
    columns = column + tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    x_rows = tl.minimum(rows, row_end - 1).to(tl.int64) * x_stride
    w_rows = tl.minimum(columns, n - 1).to(tl.int64) * w_stride
    x_tile = x + x_rows[:, None] + depth[None, :]
    w_tile = w + w_rows[None, :] + depth[:, None]
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    whole = k // DEPTH
    for _ in range(whole):
        total = tl.dot(tl.load(x_tile), tl.load(w_tile), total, input_precision=PRECISION)
        x_tile += DEPTH
        w_tile += DEPTH
    rest = k - whole * DEPTH
    if rest > 0:
        x_part = tl.load(x_tile, mask=depth[None, :] < rest, other=0.0)
        w_part = tl.load(w_tile, mask=depth[:, None] < rest, other=0.0)
        total = tl.dot(x_part, w_part, total, input_precision=PRECISION)
    within = columns < n
    total += tl.load(b + columns, mask=within, other=0.0).to(tl.float32)[None, :]
    y_tile = y + rows.to(tl.int64)[:, None] * y_stride + columns[None, :]
    result = activate(total, ACTIVATION).to(y.dtype.element_ty)
    tl.store(y_tile, result, mask=(rows < row_end)[:, None] & within[None, :])


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


@triton.jit
def sliced_linear_kernel(
    x, w, b, y, x_stride, w_stride, y_stride, rows, n, k,
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, BAND: tl.constexpr,
):  # fmt: skip
    """y[:rows, :n] = act(x[:rows, :k] · w[:n, :k]ᵀ + b[:n]). Grid: one program per tile."""
    row_tile, column_tile = place(tl.program_id(0), tl.cdiv(rows, ROWS), tl.cdiv(n, COLUMNS), BAND)
    linear_tile(
        x, w, b, y, x_stride, w_stride, y_stride,
        row_tile * ROWS, rows, column_tile * COLUMNS, n, k,
        ACTIVATION, PRECISION, ROWS, COLUMNS, DEPTH,
    )  # fmt: skip


@triton.jit
def grouped_linear_kernel(
    x, w, b, y, x_stride, w_stride, y_stride, offsets, ns, ks, row_tiles, column_tiles,
    GROUPS: tl.constexpr, MULTIPLE: tl.constexpr,
    ACTIVATION: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, BAND: tl.constexpr,
):  # fmt: skip
    """Each group's rows by its own prefix of w.

    offsets, ns, ks: as `Groups.on`, `on_device`. MULTIPLE: of what every n and k is one.
    """
    row_tile, column_tile = place(tl.program_id(0), row_tiles, column_tiles, BAND)
    before = 0
    row = 0
    row_end = 0
    n = 0
    k = 0
    for group in tl.static_range(GROUPS):
        start = tl.load(offsets + group)
        end = tl.load(offsets + group + 1)
        after = before + tl.cdiv(end - start, ROWS)
        if (row_tile >= before) & (row_tile < after):
            row = start + (row_tile - before) * ROWS
            row_end = end
            n = tl.load(ns + group)
            k = tl.load(ks + group)
        before = after
    if column_tile * COLUMNS < n:
        n = n // MULTIPLE * MULTIPLE  # tells the compiler, which then loads the last step wide
        k = k // MULTIPLE * MULTIPLE
        linear_tile(
            x, w, b, y, x_stride, w_stride, y_stride,
            row, row_end, column_tile * COLUMNS, n, k,
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

    float32 products are exact (ieee) or rounded to tf32 as `torch.set_float32_matmul_precision`
    says. tile: to try another than the one tuned for this shape.
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
    if len(prefixes) == 1:
        sliced_linear_kernel[(triton.cdiv(len(x), tile.rows) * column_tiles,)](
            x, weight, bias, y, x.stride(0), weight.stride(0), y.stride(0), len(x), n[0], k[0],
            activation, precision(), **options(tile),
        )  # fmt: skip
        return y
    row_tiles = triton.cdiv(len(x), tile.rows) + len(rows) - 1  # each group may end mid-tile
    grouped_linear_kernel[(row_tiles * column_tiles,)](
        x, weight, bias, y, x.stride(0), weight.stride(0), y.stride(0),
        rows.on(x.device), on_device(n, x.device), on_device(k, x.device),
        row_tiles, column_tiles, len(rows), multiple_of(*n, *k),
        activation, precision(), **options(tile),
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


def multiple_of(*widths: int) -> int:
    """16 if every width is a multiple of it, as the compiler asks for wide loads; else 1."""
    return 1 if any(width % 16 for width in widths) else 16


def precision() -> str:
    """How tensor cores round float32: as torch's own products do."""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


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
