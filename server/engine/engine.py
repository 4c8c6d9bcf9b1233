"""The engine: has batches of texts computed, one at a time, and makes decisions of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from math import inf
from time import perf_counter

from ...models.cascade.decisions import Decision
from ...models.cascade.scheduled import ScheduledBatch
from ..core.constraints import early_stop_reason
from ..errors import internal_error
from ..telemetry.metrics import Metrics
from .executor import Executor, ExecutorGoneError
from .latency import LatencyEstimator
from .queue import WorkQueue
from .requests import PendingRequest, QueueEntry

log = logging.getLogger(__name__)


class Engine:
    """Takes a batch, has it computed, then answers each text or puts it back for its next stage.

    One task on the event loop, which waits while the backend computes. durations: learns how long
    batches take.
    """

    def __init__(
        self, backend: Executor, queue: WorkQueue, metrics: Metrics, durations: LatencyEstimator
    ) -> None:
        self._backend = backend
        self._queue = queue
        self._metrics = metrics
        self._durations = durations
        self._called = asyncio.Event()
        """Set when there may be something to take."""
        self._task: asyncio.Task[None] | None = None
        self._batch: list[QueueEntry] = []
        self.busy_since: float | None = None
        """When the batch began that runs now, on `time.perf_counter`'s clock."""

    @property
    def alive(self) -> bool:
        """Whether its task runs."""
        return self._task is not None and not self._task.done()

    @property
    def running(self) -> int:
        """Texts in the batch that runs now."""
        return len(self._batch)

    async def start(self, warm_up: Sequence[Decision]) -> None:
        """Start, and return once every decision of `warm_up` has been through all its stages.

        Raises what the backend raises on them.
        """
        waiting = list(warm_up)
        while waiting:
            await self._ask(waiting)
            waiting = [decision for decision in waiting if not decision.answered]
        self._task = asyncio.create_task(self._work(), name="engine")

    async def restart(self, warm_up: Sequence[Decision]) -> None:
        """Abandon a task and a backend that have died or hang, and begin others.

        The texts that it held are asked again by the next one, once: those that it fails again
        fail. Raises what the backend raises on the warm-up.
        """
        self._abandon()
        held, self._batch, self.busy_since = self._batch, [], None
        again = [ticket for ticket in held if not ticket.retried]
        for ticket in again:
            ticket.retried = True
        failed = [ticket for ticket in held if ticket not in again]
        if failed:
            self._finish(failed, failed, internal_error("a batch, twice,"))
        self._queue.put_back(again)
        await self._backend.restart()
        await self.start(warm_up)

    def submit(self, job: PendingRequest) -> None:
        """Queue all texts of a job."""
        self._queue.put([QueueEntry(decision, job) for decision in job.decisions])
        self._called.set()

    async def stop(self) -> None:
        """Finish what has been accepted, then end."""
        self._queue.close()
        self._called.set()
        if self._task:
            await asyncio.wait([self._task])

    def _abandon(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        if not task.done():
            task.cancel()  # whatever the backend still says, nobody listens
        elif error := task.exception():
            log.error("the engine's task has ended", exc_info=error)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := await self._take():
            self._batch, self.busy_since = batch, perf_counter()
            try:
                failed, error = await self._process(batch)
            except ExecutorGoneError:
                return  # the next task answers these texts, by the next backend
            seconds = perf_counter() - self.busy_since
            self._batch, self.busy_since = [], None
            self._finish(batch, failed, error)
            # Counted once those who wait have their answers, whose turn is before.
            if decisions := [ticket.decision for ticket in batch if ticket not in failed]:
                loop.call_soon(self._metrics.batch_finished, decisions, seconds)

    async def _take(self) -> list[QueueEntry]:
        """The next batch; waits while there is none. Empty once the queue is closed and empty."""
        while True:
            self._called.clear()
            batch, seconds = self._queue.take()
            if batch or self._queue.closed:
                return batch
            timer = None
            if seconds < inf:
                timer = asyncio.get_running_loop().call_later(seconds, self._called.set)
            await self._called.wait()
            if timer:
                timer.cancel()

    async def _process(
        self, batch: Sequence[QueueEntry]
    ) -> tuple[Collection[QueueEntry], Exception | None]:
        """Ask each text's next student. Returns which failed, and of what, for this batch alone."""
        try:
            self._metrics.batch_started([ticket.decision for ticket in batch])
            now = perf_counter()
            for ticket in batch:
                ticket.decision.waited += now - ticket.since
                self._metrics.queue_duration.observe(now - ticket.since)
            broken = await self._ask([ticket.decision for ticket in batch])
        except ExecutorGoneError:
            raise
        except Exception:
            return set(batch), internal_error(f"a batch of {len(batch)} texts")
        if not broken:
            return (), None
        students = ", ".join(sorted({decision.answer.stage.student.name for decision in broken}))
        failed = {ticket for ticket in batch if _is_one(ticket.decision, broken)}
        return failed, internal_error(
            f"{len(broken)} of {len(batch)} texts: what {students} said is not finite, and so they"
        )

    async def _ask(self, decisions: Sequence[Decision]) -> list[Decision]:
        """One step for each; in two halves if the device has no memory for all of them.

        Returns those whose student said what is no number.
        """
        started = perf_counter()
        asked = ScheduledBatch.of(decisions)
        try:
            verdicts = await self._backend.ask(asked.questions)
        except MemoryError:
            if len(decisions) == 1:
                raise
            log.warning("no memory for a batch of %d texts: splitting it", len(decisions))
            half = len(decisions) // 2
            return [*await self._ask(decisions[:half]), *await self._ask(decisions[half:])]
        escalated = asked.record(verdicts)
        now = perf_counter()
        self._durations.observe(asked.students, now - started)
        for decision in decisions:
            decision.ran += now - started
        broken = [asked.decisions[index] for index in verdicts.broken]
        for decision in escalated:
            if not _is_one(decision, broken):
                decision.limited_by = early_stop_reason(decision, self._durations, now)
        return broken

    def _finish(
        self, batch: Sequence[QueueEntry], failed: Collection[QueueEntry], error: Exception | None
    ) -> None:
        """failed: those of the batch that fail with `error`, and with each the rest of its job."""
        for ticket in failed:
            ticket.job.error, ticket.job.closed = error, True
        done, escalated = settle([each for each in batch if each not in failed], perf_counter())
        if escalated:
            self._queue.put_back(escalated)
        for job in (*dict.fromkeys(ticket.job for ticket in failed), *done):
            job.deliver()


def _is_one(decision: Decision, of: Sequence[Decision]) -> bool:
    """By identity: two requests may bring the same text, and NaN equals nothing."""
    return any(decision is each for each in of)


def settle(
    batch: Sequence[QueueEntry], now: float
) -> tuple[list[PendingRequest], list[QueueEntry]]:
    """After a step: the jobs that are answered now, and the texts to be put back.

    now: from when those wait for their next stage.
    """
    done, escalated = [], []
    for ticket in batch:
        if ticket.decision.answered:
            ticket.job.open -= 1
            if not ticket.job.open:
                done.append(ticket.job)
        else:
            ticket.since = now
            escalated.append(ticket)
    return done, escalated
