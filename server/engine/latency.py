"""How long a batch takes that asks a student, and which answers have to stand because of it."""

from __future__ import annotations

from collections.abc import Iterable

from ...models.cascade.decisions import Decision, Limit

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


def early_stop_reason(decision: Decision, durations: LatencyEstimator, now: float) -> Limit | None:
    """Why an answer that was not accepted stands nevertheless; None if the next stage is asked.

    now: on the clock of the decision's deadline.
    """
    if decision.next_cost > decision.max_cost:
        return Limit.MAX_COST
    if now + durations.predict(decision.stage.student.name) > decision.deadline:
        return Limit.DEADLINE
    return None
