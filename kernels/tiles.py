"""How a linear layer is cut into tiles: the choice per shape.

The choice lies in `tiles.json`, written by `benchmarks/device.sh tune` on the device
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
SHARED = {"sm_80": 99 * 1024, "sm_90": 227 * 1024, "sm_100": 227 * 1024}
"""Bytes of shared memory that a program may take, by architecture: what every card of its kind has.

CUDA C++ Programming Guide, table 30: sm_80 has 163 kB, but its tiles are those of sm_86, sm_89 and
sm_120 too, which have 99.
"""
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


@cache
def architecture(device: torch.device) -> str:
    """Whose tiles a device takes; those of sm_90 where there is no CUDA."""
    if device.type != "cuda":
        return "sm_90"
    properties: Any = torch.cuda.get_device_properties(device)  # the stubs lack the last
    return tiles_for(properties.major, properties.shared_memory_per_block_optin)


def tiles_for(major: int, shared: int) -> str:
    """Whose tiles a card takes.

    major: of its compute capability, which says by what it multiplies: `wgmma` is there on 9.x
    alone, `tcgen05` on 10.x and 11.x, and `mma` on all, also on consumer cards (12.x).
    shared: bytes of shared memory that one program can have.
    """
    found = {9: "sm_90", 10: "sm_100", 11: "sm_100"}.get(major, "sm_80")
    return found if SHARED[found] <= shared else "sm_80"


def kind(dtype: torch.dtype) -> str:
    """Which arithmetic the products are done in: float32 as the sum of three tf32 products."""
    return "tf32x3" if dtype == torch.float32 else "half"


@cache
def choices() -> dict[str, dict[str, dict[str, dict[str, Tile]]]]:
    """The tile by architecture, kind of arithmetic, class of rows, class of columns."""

    def tile(found: dict[str, Any]) -> dict[str, Any] | Tile:
        return Tile(**found) if "depth" in found else found

    data = json.loads(CHOICES.read_text("utf-8"), object_hook=tile)
    chosen: dict[str, dict[str, dict[str, dict[str, Tile]]]] = data["choices"]
    return chosen
