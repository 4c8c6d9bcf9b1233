"""How many texts are in the house, and how fast they leave it: what a new one will wait for."""

from __future__ import annotations

from collections import deque

TICKS = 100
"""How many observations back the best rate is looked for."""
LEAST, SMOOTHED = 2, 4
"""Observations that make one rate, at least and most: one alone may hold a whole batch, or none."""


class ThroughputEstimator:
    """The best recent rate of answers, as congestion control estimates a link (BBR's max filter).

    By that rate, the texts that are in the house take their number divided by it (Little's law),
    whether they wait for the tokenizer, the engine or the event loop. A rate counts only where
    somebody waited all the time: else it says how many asked, not how many could be answered, and
    the first burst after a quiet hour would be turned away (what BBR calls limited by the
    application). Belongs to the event loop.
    """

    def __init__(self) -> None:
        self.inside = 0
        """Texts that have come and not left."""
        self._answered = 0
        self._busy = False
        """Whether somebody has been in the house since the last observation."""
        self._ticks: deque[tuple[int, float]] = deque(maxlen=SMOOTHED)
        self._rates: deque[float] = deque(maxlen=TICKS)
        self._best = 0.0

    def enter(self, texts: int) -> None:
        """So many have come."""
        self.inside += texts

    def leave(self, texts: int) -> None:
        """So many have gone, answered or not."""
        self.inside -= texts
        if not self.inside:
            self._busy = False

    def answer(self, texts: int) -> None:
        """So many were answered, those of large requests too, which wait apart."""
        self._answered += texts

    def observe(self, seconds: float) -> None:
        """So much time has passed since the last observation."""
        if self._busy:
            self._ticks.append((self._answered, seconds))
        else:
            self._ticks.clear()
        self._answered, self._busy = 0, self.inside > 0
        rate = 0.0
        if len(self._ticks) >= LEAST:
            rate = sum(count for count, _ in self._ticks) / sum(spent for _, spent in self._ticks)
        self._rates.append(rate)
        self._best = max(self._rates)

    @property
    def delay(self) -> float:
        """Seconds until those in the house are answered; 0 while that is not known."""
        return self.inside / self._best if self._best else 0.0
