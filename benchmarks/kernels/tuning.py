"""Chooses the tile of each class of shapes by measurement, and writes `tiles.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from nestling.kernels import tiles
from nestling.kernels.linear.triton import linear
from nestling.kernels.prefix import Prefix
from nestling.kernels.tiles import Tile, architecture, kind

from .candidates import CANDIDATES
from .clock import Clock
from .devices import Random
from .record import Named, Row
from .shapes import Layer, equal_groups, half

ROWS = {64: (1, 32, 64), 512: (128, 512), 4096: (1024, 4096), 1 << 30: (16384,)}
"""What stands for each class of rows."""
SIZES = {1024: ((384, 384), (768, 3072), (1024, 1024)), 1 << 30: ((3072, 768), (4096, 4096))}
"""n and k that stand for each class of columns."""


def cells(
    clock: Clock,
    rows: Mapping[int, Sequence[int]] = ROWS,
    sizes: Mapping[int, Sequence[tuple[int, int]]] = SIZES,
) -> list[Named]:
    """A cell for each kind of arithmetic and class of shapes."""
    return [
        (
            f"{kind(dtype)}, rows ≤ {rows_class}, columns ≤ {columns_class}",
            partial(best, clock, dtype, (rows_class, counts), (columns_class, among)),
        )
        for dtype in (half(), torch.float32)
        for rows_class, counts in rows.items()
        for columns_class, among in sizes.items()
    ]


def best(
    clock: Clock,
    dtype: torch.dtype,
    rows: tuple[int, Sequence[int]],
    columns: tuple[int, Sequence[tuple[int, int]]],
) -> Row:
    """The candidate with the least geometric mean of seconds over the shapes of a class."""
    candidates = CANDIDATES[architecture(clock.device)][kind(dtype)]
    total = [0.0] * len(candidates)
    shapes = [(count, n, k) for n, k in columns[1] for count in rows[1]]
    for shape in shapes:
        for i, seconds in enumerate(_timed(clock, dtype, shape, candidates)):
            total[i] += math.log(seconds) / len(shapes)
    chosen = candidates[total.index(min(total))]
    return {
        "kind": kind(dtype),
        "rows": rows[0],
        "columns": columns[0],
        "tile": asdict(chosen),
        "seconds": {str(tile): math.exp(t) for tile, t in zip(candidates, total, strict=True)},
    }


def _timed(
    clock: Clock, dtype: torch.dtype, shape: tuple[int, int, int], candidates: Sequence[Tile]
) -> list[float]:
    """Seconds of each candidate. One that cannot be launched is never the best."""
    count, n, k = shape
    random, groups = Random(clock.device), equal_groups(count, 1)
    size = (n * k + count * (n + k)) * dtype.itemsize
    copies: list[tuple[torch.Tensor, list[Prefix | None]]] = []
    for _ in range(clock.copies(size)):
        layer = Layer.random("", n, k, random, dtype)
        copies.append((random.normal(count, k, dtype=dtype), [layer.prefix(n, k)]))

    def product(tile: Tile, i: int) -> object:
        x, prefixes = copies[i]
        return linear(x, prefixes, groups, tile=tile)

    runs = {str(tile): partial(product, tile) for tile in candidates}
    timed = clock.compare(runs, len(copies))
    return [timed.seconds(name) if name in timed.timings else math.inf for name in runs]


def chosen(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, Row]]]:
    """Tiles by kind, class of rows and class of columns, as `tiles.json` has them."""
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for row in rows:
        by_columns = found.setdefault(row["kind"], {}).setdefault(str(row["rows"]), {})
        by_columns[str(row["columns"])] = row["tile"]
    return found


def keep(choices: Mapping[str, Any], arch: str, measured_on: str) -> None:
    """Replace an architecture's part of `tiles.json`, of which other kinds stay as they are.

    measured_on: device and date, for the file.
    """
    read = json.loads(tiles.CHOICES.read_text("utf-8"))
    read["choices"][arch] = read["choices"].get(arch, {}) | choices
    read["measured_on"][arch] = measured_on
    tiles.CHOICES.write_text(json.dumps(read, indent=1) + "\n", "utf-8")
    tiles.choices.cache_clear()
