"""How fast texts are answered: what one that comes now will wait for."""

from __future__ import annotations

from collections import deque

TICKS = 100
"""How many observations back the best rate is looked for."""
SMOOTHED = 4
"""Observations that make one rate: a single one may hold a whole batch, or none."""


class Pace:
    """The best recent rate of answers, as congestion control estimates a link (BBR's max filter).

    The rate of the moment says little: while few ask, few are answered. By the best one, the texts
    that are in the house take their number divided by it (Little's law), whether they wait for the
    tokenizer, the engine or the event loop. Belongs to the event loop.
    """

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, float]] = deque(maxlen=SMOOTHED)
        self._rates: deque[float] = deque(maxlen=TICKS)
        self._best = 0.0

    def observe(self, answered: int, seconds: float) -> None:
        """So many texts were answered in so many seconds."""
        self._ticks.append((answered, seconds))
        total = sum(count for count, _ in self._ticks)
        self._rates.append(total / sum(spent for _, spent in self._ticks))
        self._best = max(self._rates)

    def delay(self, inside: int) -> float:
        """Seconds until so many texts are answered; 0 before the first answer."""
        return inside / self._best if self._best else 0.0
