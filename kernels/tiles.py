"""How a linear layer is cut into tiles: the choice per shape.

The choice lies in `tiles.json`, written by `python -m benchmarks.kernels --tune` on the device
it names, so that a first request is not a tuning run. Within one device and kind of arithmetic
every tile walks k in steps of the same depth, on the same instruction: that is what makes a row's
result independent of the rows beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROW_CLASSES = (64, 512, 4096, 1 << 30)
"""A shape belongs to the first class whose number of rows is not below its own."""
COLUMN_CLASSES = (1024, 1 << 30)
"""Likewise by output columns."""
CHOICES = Path(__file__).with_name("tiles.json")


@dataclass(frozen=True)
class Tile:
    """rows × columns of y per program, in steps of `depth` along k.

    warps: per program. stages: steps of k in flight. band: row tiles that share a column's weight.
    """

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int
    band: int = 8


def tile_for(x: Tensor, n: int, k: int) -> Tile:
    """The tile chosen for (rows of x, k) · (k, n) on x's device."""
    chosen = choices()[architecture(x.device)][kind(x.dtype)]
    row_class = next(str(c) for c in ROW_CLASSES if len(x) <= c)
    column_class = next(str(c) for c in COLUMN_CLASSES if n <= c)
    return chosen[row_class][column_class]


def architecture(device: torch.device) -> str:
    """The newest known architecture that the device can run."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (9, 0):
        return "sm_80"
    return "sm_90"


def kind(dtype: torch.dtype) -> str:
    """Which arithmetic the products are done in."""
    if dtype != torch.float32:
        return "half"
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


@cache
def choices() -> dict[str, dict[str, dict[str, dict[str, Tile]]]]:
    """The tile by architecture, kind of arithmetic, class of rows, class of columns."""

    def tile(found: dict[str, Any]) -> dict[str, Any] | Tile:
        return Tile(**found) if "depth" in found else found

    data = json.loads(CHOICES.read_text("utf-8"), object_hook=tile)
    chosen: dict[str, dict[str, dict[str, dict[str, Tile]]]] = data["choices"]
    return chosen
