"""The engine: has batches of texts computed, one at a time, and makes decisions of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from math import inf
from time import perf_counter

from ...models.cascade.columns import Decisions
from ...models.cascade.parts import StagePart
from ...models.runners.scheduled import P, Said, ScheduledBatch
from ..errors import internal_error
from ..telemetry.metrics import Metrics
from .executor import Executor, ExecutorGoneError
from .latency import LatencyEstimator, stop_early
from .pending import PendingPart, PendingRequest
from .queue import WorkQueue

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
        self._batch: list[PendingPart] = []
        self.busy_since: float | None = None
        """When the batch began that runs now, on `time.perf_counter`'s clock."""
        self.alive = False
        """Whether its task runs."""

    @property
    def running(self) -> int:
        """Texts in the batch that runs now."""
        return sum([len(part.rows) for part in self._batch])

    async def start(self, warm_up: Sequence[Decisions]) -> None:
        """Start, and return once every text of `warm_up` has been through all its stages.

        Raises what the executor raises on them.
        """
        waiting = [StagePart.of(decisions) for decisions in warm_up]
        while waiting:
            said, _ = await self._ask(waiting)
            waiting = [part.passed_on(left, step, 0.0) for part, step, left in said if left]
        self._task = asyncio.create_task(self._work(), name="engine")
        self._task.add_done_callback(self._ended)
        self.alive = True

    async def restart(self, warm_up: Sequence[Decisions]) -> None:
        """Abandon a task and an executor that have died or hang, and begin others.

        The texts that it held are asked again by the next one, once: those that it fails again
        fail. Raises what the executor raises on the warm-up.
        """
        self._abandon()
        held, self._batch, self.busy_since = self._batch, [], None
        again = [part for part in held if not part.retried]
        if failed := [part for part in held if part.retried]:
            self._finish([], failed, internal_error("a batch, twice,"))
        for part in again:
            part.decisions.forget(part.asks, part.rows)  # of a batch in halves one may have spoken
            part.retried = True
        self._queue.requeue(again)
        await self._executor.restart()
        await self.start(warm_up)

    async def run(self, decisions: Decisions) -> Decisions:
        """Have the texts of one request answered; cancelling this drops them.

        By their deadline they are answered by what there is. Raises RequestError where that is
        nothing, and what the batch of a text raises.
        """
        loop, deadline = asyncio.get_running_loop(), decisions.deadline
        answer: asyncio.Future[Decisions] = loop.create_future()
        request, timer = PendingRequest(decisions, answer), None
        if deadline < inf:
            timer = loop.call_later(max(0.0, deadline - perf_counter()), request.expire)
        try:
            self._queue.put(request)
            self._called.set()
            return await answer
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
            error: Exception | None = None
            try:
                said, failed = await self._ask(batch)
            except ExecutorGoneError:
                return  # the next task answers these texts, by the next executor
            except Exception:
                said, failed, error = [], batch, internal_error(f"a batch of {self.running} texts")
            if failed and error is None:
                error = _not_finite(failed, self.running)
            began, self.busy_since, self._batch = self.busy_since, None, []
            seconds = perf_counter() - began
            self._finish(said, failed, error)
            # Counted once those who wait have their answers, whose turn is before.
            loop.call_soon(self._metrics.batches.finished, batch, began, said, seconds)

    async def _take(self) -> list[PendingPart]:
        """The next batch; waits while there is none. Empty once the queue is closed and empty."""
        await self._executor.turn()
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

    async def _ask(self, parts: Sequence[P]) -> tuple[list[Said[P]], list[P]]:
        """One step for each text; in two halves if the device has no memory for all of them.

        Returns what was said, and, for each text of which that is no number, the part that it is
        in, of which nothing counts as said.
        """
        started = perf_counter()
        batch = ScheduledBatch.of(parts)
        try:
            output = await self._executor.ask(batch.forward)
        except MemoryError:
            texts = len(batch.forward.lengths)
            if texts == 1:
                raise
            log.warning("no memory for a batch of %d texts: splitting it", texts)
            halves = [await self._ask(half) for half in batch.halves()]
            return [*halves[0][0], *halves[1][0]], [*halves[0][1], *halves[1][1]]
        failed = batch.failures(output)
        said = batch.record(output)
        if failed:
            said = [each for each in said if not any(each.part is part for part in failed)]
        now = perf_counter()
        self._durations.observe(batch.students, now - started)
        for at, (part, step, left) in enumerate(said):
            step.waited, step.ran = started - part.since, now - started
            decisions = part.decisions
            if left and (decisions.deadline < inf or decisions.max_cost < inf):
                onward = part.passed_on(left, step, now)
                said[at] = Said(part, step, stop_early(onward, self._durations, now))
        return said, failed

    def _finish(
        self,
        said: Sequence[Said[PendingPart]],
        failed: Collection[PendingPart],
        error: Exception | None,
    ) -> None:
        """failed: those that fail with `error`, and with each of them the rest of its request."""
        for part in failed:
            part.request.error, part.request.closed = error, True
        done, escalated = postprocess(said, perf_counter())
        if escalated:
            self._queue.requeue(escalated)
        for request in (*dict.fromkeys([part.request for part in failed]), *done):
            request.deliver()


def _not_finite(failed: Sequence[StagePart], texts: int) -> Exception:
    students = ", ".join(sorted({part.asks.student.name for part in failed}))
    return internal_error(
        f"{len(failed)} of {texts} texts: what {students} said is not finite, and so they"
    )


def postprocess(
    said: Sequence[Said[PendingPart]], now: float
) -> tuple[list[PendingRequest], list[PendingPart]]:
    """After a step: the requests that are answered now, and the texts to be queued again.

    now: from when those wait for their next stage.
    """
    done, escalated = [], []
    for part, step, left in said:
        request = part.request
        request.open -= len(part.rows) - len(left)
        if left:
            escalated.append(part.passed_on(left, step, now))
        elif not request.open:
            done.append(request)
    return done, escalated
