"""Which state of a training is kept, and whether going on is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

PATIENCE = 3
"""Evaluations in a row that are worse beyond noise, after which training stops."""


@dataclass
class Best:
    """What was seen of a held-out part so far.

    The state kept is the latest whose accuracy is within a standard error of the best (Breiman et
    al. 1984, the one-standard-error rule): the rate falls towards the end, which makes students
    surer without showing in a few hundred texts.

    texts: in the held-out part; 0 keeps the last state, whatever it is.
    floor: what is no more than this was not learnt. kept: step of the state to keep. worse:
    evaluations since, all worse beyond noise. lost: evaluations from the first on that were not
    better than the floor; None once one was.
    """

    texts: int
    score: float = -inf
    floor: float = 0.0
    kept: int = 0
    worse: int = 0
    lost: int | None = 0

    def saw(self, score: float, step: int) -> bool:
        """Whether the state of this step, whose mean accuracy is `score`, is the one to keep."""
        self.score = max(self.score, score)
        if self.lost is not None:
            self.lost = None if score > self.floor else self.lost + 1
        if score < self.score - self._error(self.score):
            self.worse += 1
            return False
        self.kept, self.worse = step, 0
        return True

    def _error(self, score: float) -> float:
        """The standard error of a score. Two texts more right and two more wrong (Agresti & Coull
        1998): a perfect one would have none at all.
        """
        share = (score * self.texts + 2) / (self.texts + 4)
        return sqrt(share * (1 - share) / self.texts) if self.texts else inf

    @property
    def astray(self) -> bool:
        """Whether nothing was learnt so far."""
        return bool(self.texts) and self.lost is not None and self.lost >= PATIENCE

    def load(self, seen: dict[str, Any]) -> None:
        """What a saved state had seen."""
        self.score, self.kept, self.worse = seen["score"], seen["kept"], seen["worse"]
        self.lost = seen.get("lost")  # which states of earlier versions lack

    @property
    def stop(self) -> bool:
        return self.astray or self.worse >= PATIENCE
