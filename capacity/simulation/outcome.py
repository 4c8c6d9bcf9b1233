"""What came of the requests of a simulation."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray


class SimulationResult:
    """By request. due: seconds at which each was sent, float64. limit: that an answer may take.

    latency: seconds from then to its end. refused: turned away. browned_out: asked of a shortened
    cascade. missed: how many have ended, but not in time or not as they asked. students: by whom
    texts were answered.
    """

    def __init__(self, due: NDArray[np.float64], limit: float) -> None:
        self.due, self._limit = due, limit
        self.latency = np.zeros(len(due))
        self.ended = np.zeros(len(due), bool)
        self.refused = np.zeros(len(due), bool)
        self.browned_out = np.zeros(len(due), bool)
        self.students: Counter[str] = Counter()
        self.missed = self._count = 0

    def end(self, number: int, now: float) -> None:
        """A request has ended."""
        latency = now - self.due[number]
        self.latency[number], self.ended[number] = latency, True
        self._count += 1
        if latency > self._limit or self.refused[number] or self.browned_out[number]:
            self.missed += 1

    @property
    def over(self) -> bool:
        """Whether all have ended."""
        return self._count == len(self.due)
