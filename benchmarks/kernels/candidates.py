"""The tiles that tuning chooses from: a small set per architecture and kind of arithmetic.

All of a set multiply by the same instruction, in steps of the same depth along k, so that a row's
bits do not depend on which is chosen: `mma` on sm_80, and on all cards that take its tiles; `wgmma`
on sm_90; `tcgen05` on sm_100. Below 64 rows the compiler leaves the latter two for `mma`, whose
rounding need not be the same, so these have none smaller. A program for fewer rows is limited by
the weight it reads anyway.

No tile spills registers for widths that are multiples of 8. With tf32x3 the sum of a step has its
own registers beside the total's, and both parts of each factor have theirs: on sm_80, where factors
lie in registers, 128 × 128 is too much; on sm_100 the assembler would rather spill a few of 64 × 32
than have fewer programs at a time, unless 8 warps share it.
"""

from __future__ import annotations

from nestling.kernels.tiles import Tile

_HALF = (
    Tile(64, 16, 64, 4, 8),
    Tile(64, 32, 64, 4, 6),
    Tile(64, 64, 64, 4, 5),
    Tile(64, 128, 64, 4, 4),
    Tile(128, 128, 64, 8, 4),
    Tile(128, 256, 64, 8, 4),
)
CANDIDATES: dict[str, dict[str, tuple[Tile, ...]]] = {
    "sm_80": {
        "half": (
            Tile(16, 32, 64, 4, 6),
            Tile(16, 64, 64, 4, 5),
            Tile(64, 64, 64, 4, 4),
            Tile(128, 128, 64, 8, 3),
            Tile(128, 256, 64, 8, 3),
        ),
        "tf32x3": (
            Tile(16, 32, 32, 4, 4),
            Tile(16, 64, 32, 4, 4),
            Tile(64, 64, 32, 4, 4),
            Tile(128, 64, 32, 8, 3),
        ),
    },
    "sm_90": {
        "half": _HALF,
        "tf32x3": (
            Tile(64, 16, 32, 4, 6),
            Tile(64, 32, 32, 4, 5),
            Tile(64, 64, 32, 4, 4),
            Tile(128, 128, 32, 8, 4),
        ),
    },
    "sm_100": {
        "half": _HALF,
        "tf32x3": (
            Tile(64, 16, 32, 4, 6),
            Tile(64, 32, 32, 8, 5),
            Tile(64, 64, 32, 4, 4),
            Tile(128, 128, 32, 8, 4),
        ),
    },
}
"""By architecture and kind of arithmetic, small tiles first."""
