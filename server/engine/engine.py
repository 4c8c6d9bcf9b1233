"""The engine: has batches of texts computed, one at a time, and makes decisions of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from math import inf
from time import perf_counter

from ...models.cascade.decisions import Decision
from ...models.runners.scheduled import ScheduledBatch
from ..errors import internal_error
from ..telemetry.metrics import Metrics
from .executor import Executor, ExecutorGoneError
from .latency import LatencyEstimator, early_stop_reason
from .queue import PendingRequest, QueueEntry, WorkQueue

log = logging.getLogger(__name__)


class Engine:
    """Takes a batch, has it computed, then answers each text or queues it again for its next stage.

    One task on the event loop, which waits while the executor computes. durations: learns how long
    batches take.
    """

    def __init__(
        self, executor: Executor, queue: WorkQueue, metrics: Metrics, durations: LatencyEstimator
    ) -> None:
        self._executor = executor
        self._queue = queue
        self._metrics = metrics
        self._durations = durations
        self._called = asyncio.Event()
        """Set when there may be something to take."""
        self._task: asyncio.Task[None] | None = None
        self._batch: list[QueueEntry] = []
        self.busy_since: float | None = None
        """When the batch began that runs now, on `time.perf_counter`'s clock."""
        self.alive = False
        """Whether its task runs."""

    @property
    def running(self) -> int:
        """Texts in the batch that runs now."""
        return len(self._batch)

    async def start(self, warm_up: Sequence[Decision]) -> None:
        """Start, and return once every decision of `warm_up` has been through all its stages.

        Raises what the executor raises on them.
        """
        waiting = list(warm_up)
        while waiting:
            await self._ask(waiting)
            waiting = [decision for decision in waiting if not decision.answered]
        self._task = asyncio.create_task(self._work(), name="engine")
        self._task.add_done_callback(self._ended)
        self.alive = True

    async def restart(self, warm_up: Sequence[Decision]) -> None:
        """Abandon a task and an executor that have died or hang, and begin others.

        The texts that it held are asked again by the next one, once: those that it fails again
        fail. Raises what the executor raises on the warm-up.
        """
        self._abandon()
        held, self._batch, self.busy_since = self._batch, [], None
        again = [entry for entry in held if not entry.retried]
        for entry in again:
            entry.retried = True
        failed = [entry for entry in held if entry not in again]
        if failed:
            self._finish(failed, failed, internal_error("a batch, twice,"))
        self._queue.requeue(again)
        await self._executor.restart()
        await self.start(warm_up)

    async def run(self, decisions: list[Decision], deadline: float = inf) -> list[Decision]:
        """Have the texts of one request answered; cancelling this drops them.

        deadline: on `time.perf_counter`'s clock; by then the request is answered by what there is.
        Raises RequestError where that is nothing, and what the batch of a text raises.
        """
        loop = asyncio.get_running_loop()
        request = PendingRequest(decisions, loop.create_future())
        timer = None
        if deadline < inf:
            timer = loop.call_later(max(0.0, deadline - perf_counter()), request.expire)
        try:
            self._queue.put(request.entries())
            self._called.set()
            return await request.future
        finally:
            request.closed = True
            if timer:
                timer.cancel()

    async def stop(self) -> None:
        """Finish what has been accepted, then end."""
        self._queue.close()
        self._called.set()
        if self._task:
            await asyncio.wait([self._task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task is self._task:
            self.alive = False

    def _abandon(self) -> None:
        task, self._task = self._task, None
        self.alive = False
        if task is None:
            return
        if not task.done():
            task.cancel()  # whatever the executor still says, nobody listens
        elif error := task.exception():
            log.error("the engine's task has ended", exc_info=error)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := await self._take():
            self._batch, self.busy_since = batch, perf_counter()
            try:
                failed, error = await self._process(batch)
            except ExecutorGoneError:
                return  # the next task answers these texts, by the next executor
            seconds = perf_counter() - self.busy_since
            self._batch, self.busy_since = [], None
            self._finish(batch, failed, error)
            # Counted once those who wait have their answers, whose turn is before.
            if decisions := [entry.decision for entry in batch if entry not in failed]:
                loop.call_soon(self._metrics.batch_finished, decisions, seconds)

    async def _take(self) -> list[QueueEntry]:
        """The next batch; waits while there is none. Empty once the queue is closed and empty."""
        while True:
            await self._executor.turn()
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
            decisions = [entry.decision for entry in batch]
            self._metrics.batch_tokens.observe(sum([len(each.tokens) for each in decisions]))
            self._metrics.batch_texts.observe(len(batch))
            now = perf_counter()
            for entry in batch:
                entry.decision.waited += now - entry.since
                self._metrics.queue_duration.observe(now - entry.since)
            failures = await self._ask(decisions)
        except ExecutorGoneError:
            raise
        except Exception:
            return set(batch), internal_error(f"a batch of {len(batch)} texts")
        if not failures:
            return (), None
        students = ", ".join(sorted({decision.answer.stage.student.name for decision in failures}))
        failed = {entry for entry in batch if _is_one(entry.decision, failures)}
        return failed, internal_error(
            f"{len(failures)} of {len(batch)} texts: what {students} said is not finite, and so "
            "they"
        )

    async def _ask(self, decisions: Sequence[Decision]) -> list[Decision]:
        """One step for each; in two halves if the device has no memory for all of them.

        Returns those whose student said what is no number.
        """
        started = perf_counter()
        batch = ScheduledBatch.of(decisions)
        students = batch.students
        try:
            output = await self._executor.ask(batch.forward)
        except MemoryError:
            if len(decisions) == 1:
                raise
            log.warning("no memory for a batch of %d texts: splitting it", len(decisions))
            half = len(decisions) // 2
            return [*await self._ask(decisions[:half]), *await self._ask(decisions[half:])]
        failures = batch.failures(output)
        escalated = batch.record(output)
        now = perf_counter()
        self._durations.observe(students, now - started)
        for decision in decisions:
            decision.ran += now - started
        for decision in escalated:
            if not _is_one(decision, failures) and (
                limit := early_stop_reason(decision, self._durations, now)
            ):
                decision.stop(limit)
        return failures

    def _finish(
        self, batch: Sequence[QueueEntry], failed: Collection[QueueEntry], error: Exception | None
    ) -> None:
        """failed: those that fail with `error`, and with each of them the rest of its request."""
        for entry in failed:
            entry.request.error, entry.request.closed = error, True
        left = [entry for entry in batch if entry not in failed]
        done, escalated = postprocess(left, perf_counter())
        if escalated:
            self._queue.requeue(escalated)
        for request in (*dict.fromkeys([entry.request for entry in failed]), *done):
            request.deliver()


def _is_one(decision: Decision, of: Sequence[Decision]) -> bool:
    """By identity: two requests may bring the same text, and NaN equals nothing."""
    return any(decision is each for each in of)


def postprocess(
    batch: Sequence[QueueEntry], now: float
) -> tuple[list[PendingRequest], list[QueueEntry]]:
    """After a step: the requests that are answered now, and the texts to be queued again.

    now: from when those wait for their next stage.
    """
    done, escalated = [], []
    for entry in batch:
        if entry.decision.answered:
            entry.request.open -= 1
            if not entry.request.open:
                done.append(entry.request)
        else:
            entry.since = now
            escalated.append(entry)
    return done, escalated
