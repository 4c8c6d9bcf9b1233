"""How long a batch takes that asks a student, and which answers have to stand because of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from ...models.cascade.decisions import Limit
from ...models.cascade.parts import StagePart

WEIGHT = 0.125
"""Of a new observation. Mean and mean deviation as TCP estimates round trips (RFC 6298)."""
DEVIATIONS = 4


class LatencyEstimator:
    """Running estimates by student, from the batches that asked it."""

    def __init__(self) -> None:
        self._estimates: dict[str, tuple[float, float]] = {}

    def observe(self, students: Iterable[str], seconds: float) -> None:
        """A batch that asked these students took so long."""
        for student in students:
            mean, deviation = self._estimates.get(student, (seconds, seconds / 2))
            error = seconds - mean
            self._estimates[student] = (
                mean + WEIGHT * error,
                deviation + WEIGHT * (abs(error) - deviation),
            )

    def predict(self, student: str) -> float:
        """Seconds that a batch with this student will hardly exceed; 0 before the first one."""
        mean, deviation = self._estimates.get(student, (0.0, 0.0))
        return mean + DEVIATIONS * deviation


def stop_early(part: StagePart, durations: LatencyEstimator, now: float) -> Sequence[int]:
    """Let the answers stand of those texts that cannot ask the next student, which `part` asks.

    Returns the rows that can. now: on the clock of the deadline.
    """
    decisions, rows = part.decisions, part.rows
    if decisions.max_cost < inf:
        costs = zip(rows, decisions.costs_with(part.stage, rows), strict=True)
        within = [row for row, cost in costs if cost <= decisions.max_cost]
        decisions.stop(set(rows).difference(within), Limit.MAX_COST)
        rows = within
    if now + durations.predict(part.asks.student.name) > decisions.deadline:
        decisions.stop(rows, Limit.DEADLINE)
        return ()
    return rows
