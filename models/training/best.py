"""Which state of a training is kept, and whether going on is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

PATIENCE = 3
"""Evaluations in a row that are worse beyond noise, after which training stops."""
PATIENCE_AT_START = 2
"""The same where all that came after the start is worse: weights that have gone astray."""


@dataclass
class Best:
    """What was seen of a held-out part so far.

    The state kept is the latest whose accuracy is within a standard error of the best (Breiman et
    al. 1984, the one-standard-error rule): the rate falls towards the end, which makes students
    surer without showing in a few hundred texts.

    texts: in the held-out part; 0 keeps the last state, whatever it is.
    kept: step of the state to keep, 0 for the start. worse: evaluations since, all worse beyond
    noise.
    """

    texts: int
    score: float = -inf
    kept: int = 0
    worse: int = 0

    def saw(self, score: float, step: int) -> bool:
        """Whether the state of this step, whose mean accuracy is `score`, is the one to keep."""
        self.score = max(self.score, score)
        # Two texts more right and two more wrong (Agresti & Coull 1998): a perfect score would have
        # no error at all.
        share = (self.score * self.texts + 2) / (self.texts + 4)
        error = sqrt(share * (1 - share) / self.texts) if self.texts else inf
        if score < self.score - error:
            self.worse += 1
            return False
        self.kept, self.worse = step, 0
        return True

    def load(self, seen: dict[str, Any]) -> None:
        """What a saved state had seen."""
        self.score, self.kept, self.worse = seen["score"], seen["kept"], seen["worse"]

    @property
    def stop(self) -> bool:
        return self.worse >= (PATIENCE if self.kept else PATIENCE_AT_START)
