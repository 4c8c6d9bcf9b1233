"""What is left to chance in how long something takes."""

from __future__ import annotations

import random
from collections.abc import Sequence


class Noise:
    """Factors by which single times differ from the middle one of their kind."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self, quantiles: Sequence[float]) -> float:
        """One factor. quantiles: evenly spaced."""
        place = self._random.random() * (len(quantiles) - 1)
        low = int(place)
        part = place - low
        return quantiles[low] * (1 - part) + quantiles[min(low + 1, len(quantiles) - 1)] * part
