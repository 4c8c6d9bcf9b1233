"""What is left to chance in how long something takes."""

from __future__ import annotations

import random
from collections.abc import Sequence


class Noise:
    """By how much single times differ from the middle one, and when what comes by chance comes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self, quantiles: Sequence[float]) -> float:
        """One value. quantiles: of what it can be, evenly spaced."""
        place = self._random.random() * (len(quantiles) - 1)
        low = int(place)
        part = place - low
        return quantiles[low] * (1 - part) + quantiles[min(low + 1, len(quantiles) - 1)] * part

    def gap(self, per_second: float) -> float:
        """Seconds until something happens again that happens so often, independently (Poisson)."""
        return self._random.expovariate(per_second)
