"""The constraints of a request: what it asks for, and what of that cannot be met."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

from ...models.cascade.columns import Decisions
from ..engine.latency import LatencyEstimator
from ..errors import Reason, RequestError
from .policies import AUTO


class RequestConstraints(NamedTuple):
    """What a client asks of the answers to one request.

    model: `auto`, a cascade's or a student's name. deadline: on `time.perf_counter`'s clock; what
    is answered by then is answered by the largest student that fits. max_cost: over all stages,
    relative to the TA; never exceeded. min_confidence: raises the thresholds. truncate: answer a
    too long text by its beginning. thresholds: in place of the cascade's own, one per stage but the
    last. shadow: nobody waits for the answer. arrived: when the request came, on the deadline's
    clock; None is when its texts are looked at.
    """

    model: str = AUTO
    deadline: float = inf
    max_cost: float = inf
    min_confidence: float = 0.0
    truncate: bool = False
    thresholds: tuple[float, ...] | None = None
    shadow: bool = False
    arrived: float | None = None


def check_feasible(
    decisions: Decisions,
    durations: LatencyEstimator,
    came: float,
    now: float,
    field: Callable[[int], str],
) -> None:
    """Before any student is asked. Raises RequestError saying what cannot be met, and why.

    The client can fix a deadline that was too near when the text came, but not one that came too
    near while the text waited. came, now: on `perf_counter`'s clock. field: what errors call a
    text, by its row.
    """
    student = decisions.cascade.stages[0].student.name
    for row, cost in enumerate(decisions.costs_with(0, range(len(decisions)))):
        if cost > decisions.max_cost:
            raise RequestError(
                Reason.UNMEETABLE,
                f"{decisions.max_cost:g} of the TA's cost; {student!r}, the first that "
                f"{decisions.cascade.name!r} asks, costs {cost:.4g} for {field(row)}",
                "max_cost",
                actual=float(f"{cost:.4g}"),
            )
    needed = durations.predict(student)
    if now + needed <= decisions.deadline:
        return
    given = decisions.deadline - came
    if given < needed:
        raise RequestError(
            Reason.UNMEETABLE,
            f"{1e3 * given:.3g} ms are given; {student!r} is predicted to take "
            f"{1e3 * needed:.3g} ms",
            "deadline_ms",
            actual=float(f"{1e3 * needed:.4g}"),
        )
    raise RequestError(
        Reason.DEADLINE,
        f"too near, after {1e3 * (now - came):.3g} ms of waiting, for {student!r}, which is "
        f"predicted to take {1e3 * needed:.3g} ms",
        "deadline_ms",
    )
