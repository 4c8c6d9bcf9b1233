"""What travels between the protocols and the engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter

from ...models.decision import Decision


@dataclass(eq=False)
class Job:
    """The texts of one request, answered together.

    open: texts not yet answered; only the engine counts it down. closed: nobody waits for the
    answer any more, because the client has gone or a batch has failed; the queue drops what is
    left of it.
    """

    decisions: list[Decision]
    future: asyncio.Future[list[Decision]]
    open: int = field(init=False)
    closed: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.open = len(self.decisions)

    def deliver(self) -> None:
        """Wake whoever waits. Only on the event loop."""
        if self.future.done():
            return
        if self.error:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.decisions)


@dataclass(eq=False, slots=True)
class Ticket:
    """One text on its way through the stages.

    number: its first arrival, in order over all texts; it keeps it when it is put back.
    since: when it began to wait for its next stage.
    """

    decision: Decision
    job: Job
    number: int = -1
    since: float = field(default_factory=perf_counter)
