"""How fast texts are answered now: what a text that comes now will wait for."""

from __future__ import annotations

from math import exp

MEMORY_SECONDS = 2.0
"""Of engine time, after which a batch counts for 1/e."""


class Pace:
    """Engine seconds per answered text, over the last batches. Written by the engine's thread."""

    def __init__(self) -> None:
        self._seconds = self._answered = 0.0

    def observe(self, seconds: float, answered: int) -> None:
        """A batch took so long and answered so many texts; the others escalate."""
        kept = exp(-seconds / MEMORY_SECONDS)
        self._seconds = kept * self._seconds + seconds
        self._answered = kept * self._answered + answered

    def delay(self, waiting: int) -> float:
        """Seconds until so many waiting texts are answered; 0 before the first answer."""
        return waiting * self._seconds / self._answered if self._answered else 0.0
