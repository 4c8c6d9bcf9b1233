"""What a search hands back: students with their measured place on the frontier, and a cascade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..checkpoint.held_out import HeldOutAnswers
from ..nested.spec import StudentSpec

CONFIDENCE = 0.95
"""Of the interval around an accuracy."""


@dataclass(frozen=True)
class FoundStudent:
    """A student, measured on texts that chose nothing.

    known: whether the checkpoint had it. added: whether it gets it. flops, cost: shares of the
    TA's; the cost is in seconds, where a model of the machine counts them. latency: seconds of one
    text; None without such a model. right: of `texts`.
    """

    name: str
    spec: StudentSpec
    known: bool
    added: bool
    flops: float
    cost: float
    latency: float | None
    right: int
    texts: int

    @property
    def accuracy(self) -> float:
        return self.right / self.texts

    @property
    def interval(self) -> tuple[float, float]:
        """Of its accuracy at 95 % (Wilson 1927)."""
        from scipy.stats import binomtest  # heavy

        found = binomtest(self.right, self.texts).proportion_ci(CONFIDENCE, "wilson")
        return float(found.low), float(found.high)

    def to_json(self) -> dict[str, Any]:
        """Its measured place."""
        low, high = self.interval
        return {
            "relative_flops": round(self.flops, 6),
            **({} if self.latency is None else {"latency_seconds": round(self.latency, 9)}),
            "accuracy": round(self.accuracy, 6),
            "interval": [round(low, 6), round(high, 6)],
            "texts": self.texts,
        }


@dataclass(frozen=True)
class FoundCascade:
    """stages: names of students. cost: a share of the TA's, and lost: the share of the texts lost,
    both measured on texts that chose nothing.
    """

    stages: tuple[str, ...]
    cost: float
    lost: float


@dataclass(frozen=True)
class SearchResult:
    """students: cheapest first, the TA last. before, after: the cheapest cascade of the students
    that there were, and of all. asked: students. ended: why the search came to an end. held_out:
    what the students that there are now answer on all texts of the search.
    """

    students: tuple[FoundStudent, ...]
    before: FoundCascade
    after: FoundCascade
    asked: int
    looked_at: int
    measured_on: int
    ended: str
    held_out: HeldOutAnswers

    @property
    def added(self) -> Mapping[str, FoundStudent]:
        """What the checkpoint gets."""
        return {each.name: each for each in self.students if each.added}
