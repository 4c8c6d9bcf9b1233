"""How a linear layer is cut into tiles: a small set to choose from, and the choice per shape.

The choice lies in `tiles.json`, written by `python -m benchmarks.kernels --tune` on the device
it names, so that a first request is not a tuning run. Within one device and kind of arithmetic
every tile walks k in steps of the same depth, on the same instruction: that is what makes a row's
result independent of the rows beside it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
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


# On sm_90 no tile has fewer than 64 rows: below that the compiler leaves wgmma for mma, whose
# rounding need not be the same. A program for fewer rows is limited by the weight it reads anyway.
CANDIDATES: dict[str, dict[str, tuple[Tile, ...]]] = {
    "sm_90": {
        "half": (
            Tile(64, 16, 64, 4, 8),
            Tile(64, 32, 64, 4, 6),
            Tile(64, 64, 64, 4, 5),
            Tile(64, 128, 64, 4, 4),
            Tile(128, 128, 64, 8, 4),
            Tile(128, 256, 64, 8, 4),
        ),
        "tf32": (Tile(64, 32, 32, 4, 5), Tile(64, 64, 32, 4, 4), Tile(128, 128, 32, 8, 4)),
        "ieee": (Tile(16, 32, 16, 4, 4), Tile(32, 64, 16, 8, 3)),
    },
    "sm_80": {
        "half": (
            Tile(16, 32, 64, 4, 6),
            Tile(16, 64, 64, 4, 5),
            Tile(64, 64, 64, 4, 4),
            Tile(128, 128, 64, 8, 3),
            Tile(128, 256, 64, 8, 3),
        ),
        "tf32": (Tile(16, 64, 32, 4, 4), Tile(64, 64, 32, 4, 4), Tile(128, 128, 32, 8, 3)),
        "ieee": (Tile(16, 32, 16, 4, 4), Tile(32, 64, 16, 8, 3)),
    },
}
"""By architecture and kind of arithmetic, small tiles first."""


def tile_for(x: Tensor, n: int, k: int) -> Tile:
    """The tile chosen for (rows of x, k) · (k, n) on x's device."""
    chosen = _choices()[architecture(x.device)][kind(x.dtype)]
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
def _choices() -> dict[str, dict[str, dict[str, dict[str, Tile]]]]:
    data = read_choices()["choices"]
    return {
        arch: {
            name: {
                rows: {columns: Tile(**tile) for columns, tile in by_columns.items()}
                for rows, by_columns in by_rows.items()
            }
            for name, by_rows in kinds.items()
        }
        for arch, kinds in data.items()
    }


def read_choices() -> dict[str, Any]:
    """`tiles.json` as it is: choices, and measured_on."""
    data: dict[str, Any] = json.loads(CHOICES.read_text("utf-8"))
    return data


def write_choices(choices: dict[str, Any], measured_on: dict[str, str]) -> None:
    """Replace `tiles.json`. choices: tiles by architecture, kind, row class, column class.

    measured_on: by architecture, the device and date, or why there is none.
    """
    text = json.dumps(
        {"measured_on": measured_on, "choices": choices}, indent=1, default=lambda t: asdict(t)
    )
    CHOICES.write_text(text + "\n", "utf-8")
    _choices.cache_clear()
