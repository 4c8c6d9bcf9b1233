"""The same in one Triton launch: tiles of y, each a loop over k, bias and activation fused.

A row's result does not depend on its neighbours, bit for bit: every choice of tile walks k in
the same steps, with one float32 accumulator per element and no sum across programs.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_alike, check_dtype, check_matrix, check_widths
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


def sliced_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    n: int,
    k: int,
    activation: str = "none",
    out: Tensor | None = None,
    tile: Tile | None = None,
) -> Tensor:
    """As `reference.sliced_linear`, in bfloat16, float16 or float32, accumulated in float32.

    float32 products are exact (ieee) or rounded to tf32 as `torch.set_float32_matmul_precision`
    says. tile: to try another than the one tuned for this shape.
    Raises TypeError or ValueError before launch, naming the argument that does not fit.
    """
    check_linear(x, weight, bias, activation)
    check_widths("n", (n,), weight.shape[0], 1, "the rows of weight")
    check_widths("k", (k,), min(weight.shape[1], x.shape[1]), 1, "the columns of weight and x")
    y = output(x, n, out)
    if not y.numel():
        return y
    tile = tile or tile_for(x, n, k)
    grid = (triton.cdiv(len(x), tile.rows) * triton.cdiv(n, tile.columns),)
    sliced_linear_kernel[grid](
        x, weight, bias, y, x.stride(0), weight.stride(0), y.stride(0), len(x), n, k,
        activation, precision(), **options(tile),
    )  # fmt: skip
    return y


def check_linear(x: Tensor, weight: Tensor, bias: Tensor, activation: str) -> None:
    """Raises TypeError or ValueError for tensors that no linear kernel takes."""
    check_dtype("x", x)
    check_matrix("x", x)
    check_matrix("weight", weight)
    check_alike(x, weight=weight, bias=bias)
    if bias.shape != weight.shape[:1] or (bias.stride(0) != 1 and len(bias) > 1):
        raise ValueError(f"bias: {tuple(bias.shape)}; it must be {len(weight)} adjacent numbers")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: {activation!r} is none of {', '.join(ACTIVATIONS)}")


def output(x: Tensor, width: int, out: Tensor | None) -> Tensor:
    """Where to write: `out`, or new. Raises ValueError for an `out` that is too small."""
    if out is None:
        return x.new_empty(len(x), width)
    check_matrix("out", out)
    check_alike(x, out=out)
    if len(out) != len(x) or out.shape[1] < width:
        raise ValueError(f"out: {tuple(out.shape)}; it must be {len(x)} × at least {width}")
    return out


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
