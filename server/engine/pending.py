"""What waits for an answer: a request, and the parts of it that ask the same student."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter

from ...models.cascade.columns import Decisions
from ...models.cascade.decisions import Limit
from ...models.cascade.parts import StagePart
from ..errors import Reason, RequestError


@dataclass(eq=False, slots=True)
class PendingRequest:
    """The texts of one request, answered together.

    future: of whoever waits; None where nobody awaits anything, as in a simulation. arrived: when
    it came. number: the place of its first text in the order in which texts have come; the others
    follow. open: texts not yet answered; only the engine counts it down. closed: nobody waits for
    the answer any more, because the client has gone, a batch has failed or the deadline has passed;
    the queue drops what is left of it.
    """

    decisions: Decisions
    future: asyncio.Future[Decisions] | None
    arrived: float = field(default_factory=perf_counter)
    number: int = -1
    open: int = field(init=False)
    closed: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.open = len(self.decisions.tokens)

    def part(self) -> PendingPart:
        """All its texts, for the queue."""
        return PendingPart(self.decisions, range(self.open), 0, self.arrived, 0.0, 0.0, self)

    def deliver(self) -> None:
        """Wake whoever waits."""
        if self.future is None or self.future.done():
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.decisions)

    def expire(self) -> None:
        """The deadline has passed: answer by what there is."""
        if self.future is None or self.future.done():
            return
        self.closed = True
        taken = self.decisions.as_they_stand()  # the engine may have a batch that adds to them
        untold, unsure = taken.by_now()
        if untold:
            self.future.set_exception(
                RequestError(
                    Reason.DEADLINE,
                    f"passed while {len(untold)} of {len(taken)} texts waited for their first "
                    "answer",
                    "deadline_ms",
                )
            )
            return
        taken.stop(unsure, Limit.DEADLINE)
        self.future.set_result(taken)


@dataclass(eq=False, slots=True)
class PendingPart(StagePart):
    """Those texts of a request that ask the same student next.

    retried: whether an engine that had them has died or hung. passed_over: batches that have left
    without them while they waited for others that ask this student.
    """

    request: PendingRequest
    retried: bool = False
    passed_over: int = 0

    @property
    def number(self) -> int:
        """The place of its first text in the order in which texts have come."""
        return self.request.number + self.rows[0]
