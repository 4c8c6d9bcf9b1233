"""The tiles that tuning chooses from: a small set per architecture and kind of arithmetic."""

from __future__ import annotations

from nestling.kernels.tiles import Tile

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
