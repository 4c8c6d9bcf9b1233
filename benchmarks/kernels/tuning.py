"""Chooses the tile of each class of shapes by measurement, and writes `tiles.json`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from nestling.kernels import tiles
from nestling.kernels.linear.triton import linear
from nestling.kernels.tiles import Tile, architecture

from .candidates import CANDIDATES
from .clock import Clock
from .shapes import Layer, equal_groups

ROWS = {64: (1, 32, 64), 512: (128, 512), 4096: (1024, 4096), 1 << 30: (16384,)}
"""What stands for each class of rows."""
SIZES = {1024: ((384, 384), (768, 3072), (1024, 1024)), 1 << 30: ((3072, 768), (4096, 4096))}
"""n and k that stand for each class of columns."""
DTYPES = {"half": torch.bfloat16, "tf32x3": torch.float32}


def tune(clock: Clock, measured_on: str) -> dict[str, Any]:
    """Measure every candidate on this device; replace its part of `tiles.json`.

    measured_on: device, versions and date, for the file.
    """
    arch = architecture(clock.device)
    chosen = {name: _choose(clock, arch, name) for name in DTYPES}
    read = json.loads(tiles.CHOICES.read_text("utf-8"))
    write_choices(read["choices"] | {arch: chosen}, read["measured_on"] | {arch: measured_on})
    return chosen


def _choose(clock: Clock, arch: str, name: str) -> dict[str, dict[str, Tile]]:
    candidates = CANDIDATES[arch][name]
    return {
        str(rows): {str(each): _best(clock, name, candidates, rows, each) for each in SIZES}
        for rows in ROWS
    }


def _best(clock: Clock, name: str, among: tuple[Tile, ...], rows: int, columns: int) -> Tile:
    """The least geometric mean of seconds over the shapes of a class."""
    total = [0.0] * len(among)
    for n, k in SIZES[columns]:
        layer = Layer.random("", n, k, clock.device, DTYPES[name])
        for count in ROWS[rows]:
            x = torch.randn(count, k, device=clock.device, dtype=DTYPES[name])
            product = partial(linear, x, [layer.prefix(n, k)], equal_groups(count, 1))
            runs = {str(i): partial(product, tile=tile) for i, tile in enumerate(among)}
            seconds = clock.seconds(runs)
            total = [t + math.log(seconds[str(i)]) for i, t in enumerate(total)]
    return among[total.index(min(total))]


def write_choices(choices: dict[str, Any], measured_on: dict[str, str]) -> None:
    """Replace `tiles.json`. choices: tiles by architecture, kind, row class, column class.

    measured_on: by architecture, the device and date, or why there is none.
    """
    text = json.dumps(
        {"measured_on": measured_on, "choices": choices}, indent=1, default=lambda t: asdict(t)
    )
    tiles.CHOICES.write_text(text + "\n", "utf-8")
    tiles.choices.cache_clear()
