"""Linear layers against cuBLAS: of one group on the same strided view, and of several groups.

Several groups have three rivals, and the fastest counts: `addmm` writes each group's product to its
place, `apart` gives each a result of its own, where cuBLAS adds the bias itself, and `streams` is
the faster way of the first on a stream per group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nestling.kernels.layout import Groups
from nestling.kernels.prefix import Prefix

from ..ceilings import Ceilings
from ..clock import Call, Clock
from ..devices import Random, operations_on, stream_on
from ..record import Named, Row
from ..shapes import Layer, Shapes, equal_groups, half, products
from .row import OURS, Work, judged


@dataclass(frozen=True)
class Copy:
    """Of what one call reads and writes. y: where the rivals write."""

    layer: Layer
    x: Tensor
    y: Tensor


def cells(clock: Clock, ceilings: Ceilings, shapes: Shapes) -> list[Named]:
    """Half precision, several groups first; then the first layer in float32."""
    named: list[Named] = []
    for dtype in (half(), torch.float32):
        layers = products(shapes) if dtype != torch.float32 else products(shapes)[:2]
        for name, outputs, inputs in layers:
            sizes = [(int(w * outputs), int(w * inputs)) for w in shapes.widths]
            for rows in shapes.rows:
                if rows >= len(sizes):
                    named.append(
                        (
                            f"grouped {name} {rows} {dtype}",
                            partial(grouped, clock, ceilings, name, rows, sizes, dtype),
                        )
                    )
            for size in sizes:
                for rows in shapes.rows:
                    named.append(
                        (
                            f"sliced {name} {size} {rows} {dtype}",
                            partial(sliced, clock, ceilings, name, rows, sizes[0], size, dtype),
                        )
                    )
    return named


def sliced(
    clock: Clock,
    ceilings: Ceilings,
    name: str,
    rows: int,
    whole: tuple[int, int],
    size: tuple[int, int],
    dtype: torch.dtype,
) -> Row:
    """All rows by one corner of `size` of a weight of size `whole`."""
    n, k = size
    linear, groups = operations_on(clock.device).linear, equal_groups(rows, 1)
    work = needed([rows], [size], dtype)
    copies = made(clock, name, rows, whole, work.moved, dtype)
    prefixes = [[copy.layer.prefix(n, k)] for copy in copies]

    def ours(i: int) -> object:
        return linear(copies[i].x, prefixes[i], groups)

    def cublas(i: int) -> object:
        [(weight, bias)] = prefixes[i]
        return F.linear(copies[i].x[:, :k], weight, bias)

    timed = clock.compare({OURS: ours, "cublas": cublas}, len(copies))
    return {
        "kind": "sliced", "layer": name, "rows": rows, "n": n, "k": k, "copies": len(copies),
    } | judged(timed, work, ceilings)  # fmt: skip


def grouped(
    clock: Clock,
    ceilings: Ceilings,
    name: str,
    rows: int,
    sizes: Sequence[tuple[int, int]],
    dtype: torch.dtype,
) -> Row:
    """Equal parts of the rows by corners of these sizes."""
    linear, groups = operations_on(clock.device).linear, equal_groups(rows, len(sizes))
    work = needed([r.stop - r.start for r in groups], sizes, dtype)
    copies = made(clock, name, rows, sizes[0], work.moved, dtype)
    prefixes = [[copy.layer.prefix(*size) for size in sizes] for copy in copies]

    def ours(i: int) -> object:
        return linear(copies[i].x, prefixes[i], groups)

    runs: dict[str, Call] = {OURS: ours}
    runs |= rivals(clock, copies, prefixes, groups)
    timed = clock.compare(runs, len(copies))
    return {
        "kind": "grouped", "layer": name, "rows": rows, "groups": len(sizes),
        "copies": len(copies),
    } | judged(timed, work, ceilings)  # fmt: skip


def rivals(
    clock: Clock, copies: Sequence[Copy], prefixes: Sequence[Sequence[Prefix]], groups: Groups
) -> dict[str, Call]:
    """cuBLAS per group. Without a copy of what it has written, in any of them."""

    def pieces(i: int) -> list[Callable[[], object]]:
        x, y = copies[i].x, copies[i].y
        return [
            partial(
                torch.addmm, bias, x[r, : weight.shape[1]], weight.t(),
                out=y[r, : weight.shape[0]],
            )
            for r, (weight, bias) in zip(groups, prefixes[i], strict=True)
        ]  # fmt: skip

    work = [pieces(i) for i in range(len(copies))]

    def addmm(i: int) -> object:
        return [piece() for piece in work[i]]

    def apart(i: int) -> object:
        x = copies[i].x
        return [
            F.linear(x[r, : weight.shape[1]], weight, bias)
            for r, (weight, bias) in zip(groups, prefixes[i], strict=True)
        ]

    found: dict[str, Call] = {"addmm": addmm, "apart": apart}
    if clock.device.type == "cuda":
        streams = [stream_on(clock.device) for _ in groups]
        found["streams"] = lambda i: forked(streams, work[i])
    return found


def forked(streams: Sequence[torch.cuda.Stream], pieces: Sequence[Callable[[], object]]) -> None:
    """Each piece on its stream, all after what the current stream has been given, and before what
    it is given next. In a capture these waits are the graph's fork and join.
    """
    current = torch.cuda.current_stream()
    for stream in streams:
        stream.wait_stream(current)
    for stream, piece in zip(streams, pieces, strict=True):
        with torch.cuda.stream(stream):
            piece()
    for stream in streams:
        current.wait_stream(stream)


def made(
    clock: Clock, name: str, rows: int, whole: tuple[int, int], moved: int, dtype: torch.dtype
) -> list[Copy]:
    """As many copies as the clock wants of what moves so many bytes."""
    random = Random(clock.device)
    outputs, inputs = whole
    return [
        Copy(
            Layer.random(name, outputs, inputs, random, dtype),
            random.normal(rows, inputs, dtype=dtype),
            torch.empty(rows, outputs, dtype=dtype, device=clock.device),
        )
        for _ in range(clock.copies(moved))
    ]


def needed(rows: Sequence[int], sizes: Sequence[tuple[int, int]], dtype: torch.dtype) -> Work:
    """The union of the corners that somebody wants is read once, and each row in and out."""
    wanted = [(m, n, k) for m, (n, k) in zip(rows, sizes, strict=True) if m]
    weight = max(n for _, n, _ in wanted) * max(k for _, _, k in wanted)
    numbers = weight + max(n for _, n, _ in wanted) + sum(m * (n + k) for m, n, k in wanted)
    return Work(numbers * dtype.itemsize, sum(2 * m * n * k for m, n, k in wanted), dtype)
