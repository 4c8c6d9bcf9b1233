"""What travels between the protocols and the engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from time import perf_counter

from ...models.cascade.decisions import Decision, Limit
from ..errors import Reason, RequestError


@dataclass(eq=False)
class PendingRequest:
    """The texts of one request, answered together.

    open: texts not yet answered; only the engine counts it down. closed: nobody waits for the
    answer any more, because the client has gone, a batch has failed or the deadline has passed;
    the queue drops what is left of it.
    """

    decisions: list[Decision]
    future: asyncio.Future[list[Decision]]
    open: int = field(init=False)
    closed: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.open = len(self.decisions)

    def deliver(self) -> None:
        """Wake whoever waits."""
        if self.future.done():
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.decisions)

    def expire(self) -> None:
        """The deadline has passed: answer by what there is."""
        if self.future.done():
            return
        self.closed = True
        # The engine may have a batch under way that adds to them.
        taken = [replace(d, steps=list(d.steps)) for d in self.decisions]
        if without := sum(not decision.steps for decision in taken):
            self.future.set_exception(
                RequestError(
                    Reason.DEADLINE,
                    f"passed while {without} of {len(taken)} texts waited for their first answer",
                    "deadline_ms",
                )
            )
            return
        for decision in taken:
            if not decision.answered:
                decision.limited_by = Limit.DEADLINE
        self.future.set_result(taken)


@dataclass(eq=False, slots=True)
class QueueEntry:
    """One text on its way through the stages.

    number: its first arrival, in order over all texts; it keeps it when it is put back.
    arrived: when that was. since: when it began to wait for its next stage. retried: whether an
    engine that had it has died or hung.
    """

    decision: Decision
    job: PendingRequest
    number: int = -1
    arrived: float = field(default_factory=perf_counter)
    retried: bool = False
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.arrived
