"""How arrivals lie within their rate."""

from __future__ import annotations

from enum import StrEnum


class Spacing(StrEnum):
    """Gaps that are exponential, equal, or Gamma with a larger spread."""

    POISSON = "poisson"
    CONSTANT = "constant"
    BURSTS = "bursts"
