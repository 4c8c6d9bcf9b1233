"""The same in one Triton launch for all groups.

The grid covers as many row tiles as the groups can need at most, each across all columns. A
program finds its group by walking the offsets on the device, and leaves at once if its tile lies
beyond the group's n: that work is skipped, not masked. Nothing is read back to the host, so a
captured CUDA graph can be replayed with other offsets.
"""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_rows, check_widths
from ..groups import Groups, on_device
from ..sliced_linear.triton import (
    check_linear,
    linear_tile,
    options,
    output,
    place,
    precision,
    sliced_linear,
)
from ..tiles import Tile, tile_for


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


def grouped_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Groups,
    n: Sequence[int],
    k: Sequence[int],
    activation: str = "none",
    out: Tensor | None = None,
    tile: Tile | None = None,
) -> Tensor:
    """As `reference.grouped_linear`, in bfloat16, float16 or float32 (see `sliced_linear`).

    tile: to try another than the one tuned for this shape.
    Raises TypeError or ValueError before launch, naming the argument that does not fit.
    """
    check_rows(x, rows.offsets)
    if len(rows) == 1 and n[0]:
        return sliced_linear(x, weight, bias, n[0], k[0], activation, out, tile)
    check_linear(x, weight, bias, activation)
    check_widths("n", n, weight.shape[0], len(rows), "the rows of weight")
    check_widths("k", k, min(weight.shape[1], x.shape[1]), len(rows), "the columns of weight and x")
    widest = max(n)
    y = output(x, widest, out)
    if not len(x) or not widest:
        return y
    tile = tile or tile_for(x, widest, max(k))
    row_tiles = triton.cdiv(len(x), tile.rows) + len(rows) - 1  # each group may end mid-tile
    column_tiles = triton.cdiv(widest, tile.columns)
    grouped_linear_kernel[(row_tiles * column_tiles,)](
        x, weight, bias, y, x.stride(0), weight.stride(0), y.stride(0),
        rows.on(x.device), on_device(tuple(n), x.device), on_device(tuple(k), x.device),
        row_tiles, column_tiles, len(rows), multiple_of(*n, *k),
        activation, precision(), **options(tile),
    )  # fmt: skip
    return y


def multiple_of(*widths: int) -> int:
    """16 if every width is a multiple of it, as the compiler asks for wide loads; else 1."""
    return 1 if any(width % 16 for width in widths) else 16
