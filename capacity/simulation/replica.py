"""One server in simulated time.

What decides is the server's own code: `LoadControl`, `WorkQueue`, `decide`, `step`, `postprocess`.
What is simulated is what takes time. Requests and the engine take turns on the event loop, which
has one core; the worker, which computes, has another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from math import inf

from ...models.cascade.decisions import Decision
from ...models.cascade.scheduled import decide, step
from ...models.checkpoint.manifest import Manifest
from ...models.runners.base import ForwardBatch, ForwardOutput
from ...server.core.load_control import TICK_SECONDS, Admission, LoadControl
from ...server.engine.engine import postprocess
from ...server.engine.queue import PendingRequest, QueueEntry, WorkQueue
from ...server.errors import RequestError
from ...server.settings import Settings
from ..profile.costs import Costs
from ..profile.workload import Workload
from .clock import SimulatedClock
from .core import Core
from .idler import IdlePenalty
from .outcome import SimulationResult
from .speed import Speed

RESOLUTION = 1e-6
"""Seconds that an alarm takes at least: in less, time might not move on at all."""


class Replica:
    """Answers requests, at the costs of a profile.

    model: what all requests ask for. seed: of the moments at which the cores' speeds begin.
    answered: told the number of each request that has ended. batches, batched: how many ran, and
    the texts in them.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        manifest: Manifest,
        settings: Settings,
        costs: Costs,
        workload: Workload,
        model: str,
        outcome: SimulationResult,
        seed: int,
    ) -> None:
        self._clock, self._manifest = clock, manifest
        self._costs, self._workload = costs, workload
        self._cascade, self._outcome = manifest.policy(model), outcome
        rng = random.Random(seed)
        self.serving, self.worker = (
            Core(clock, Speed(costs.speeds, rng.random()), costs.wake) for _ in range(2)
        )
        self._load = LoadControl(settings)
        self._queue = WorkQueue(
            settings.max_batch_tokens,
            settings.max_batch_requests,
            settings.fill_ms / 1e3,
            lambda: clock.now,
        )
        self.answered: Callable[[int], None] = lambda _: None
        self.batches = self.batched = 0
        self._asleep = 0.0
        self._engine = _Engine()
        self._loop = IdlePenalty(clock, costs.loop.cold, costs.cooling, costs.loop.waking)
        self._students = {
            name: IdlePenalty(clock, cost.cold, costs.cooling)
            for name, cost in costs.worker.students.items()
        }
        clock.after(TICK_SECONDS, self._tick)

    def receive(self, number: int, rows: Sequence[int]) -> None:
        """A request has come. rows: its texts, of the workload."""
        job: list[_Request] = []

        def begin() -> float:
            try:
                self._load.check_delay()
                job.append(self._admit(number, rows))
            except RequestError:
                self._outcome.refused[number] = True
            return self._half(len(rows))

        def then() -> None:
            self._loop.rest()
            if not job:
                self.answered(number)
                return
            now = self._clock.now
            self._queue.put([QueueEntry(each, job[0], arrived=now) for each in job[0].decisions])
            self._wake_engine()

        self.serving.submit(begin, then)

    def _admit(self, number: int, rows: Sequence[int]) -> _Request:
        """As the beginning of `Service.answer`."""
        admission = self._load.admit(len(rows), apart=len(rows) > self._queue.largest_small)
        cascade = admission.cascade(self._cascade)
        decisions = [decide(self._manifest, cascade, self._workload.tokens(row)) for row in rows]
        try:
            admission.tokens(sum(len(decision.tokens) for decision in decisions))
        except RequestError:
            admission.close()
            raise
        self._outcome.browned_out[number] = cascade is not self._cascade
        return _Request(decisions, number, admission)

    def _wake_engine(self) -> None:
        """The engine is to look into the queue, unless it has a batch, or will in any case."""
        if not self._engine.occupied:
            self._engine.occupied = True
            self.serving.submit(self._turn, self._turned)

    def _turn(self) -> float:
        """The engine has the event loop: it settles one batch, and takes the next."""
        engine, costs = self._engine, self._costs.engine
        settled = len(engine.batch)
        engine.done, escalated = postprocess(engine.batch, self._clock.now)
        if escalated:
            self._queue.requeue(escalated)
        engine.batch, wait = self._queue.take()
        engine.again = self._clock.now + max(wait, RESOLUTION)
        if engine.alarm is not None:
            self._clock.call_off(engine.alarm)
            engine.alarm = None
        halves = [costs.half(texts) for texts in (settled, len(engine.batch)) if texts]
        if not halves:
            return 0.0  # it has looked, and sleeps on
        return sum(halves) + self._loop.wake()

    def _alarm(self) -> None:
        self._engine.alarm = None
        self._wake_engine()

    def _turned(self) -> None:
        engine = self._engine
        if engine.done or engine.batch:
            self._loop.rest()
        for job in engine.done:
            assert isinstance(job, _Request)
            self._respond(job)
        if engine.batch:
            asked = sorted({ticket.decision.stage.student.name for ticket in engine.batch})
            seconds = self._ask(engine.batch)
            self.worker.submit(lambda: self._compute(seconds, asked), lambda: self._ran(asked))
            return
        engine.occupied = False
        if engine.again < inf:
            engine.alarm = self._clock.at(engine.again, self._alarm)

    def _compute(self, seconds: float, asked: Collection[str]) -> float:
        return seconds + sum(self._students[name].wake() for name in asked)

    def _ran(self, asked: Collection[str]) -> None:
        for name in asked:
            self._students[name].rest()
        self.serving.submit(self._turn, self._turned)

    def _ask(self, batch: Sequence[QueueEntry]) -> float:
        """Step the batch's decisions; the seconds after which the engine learns of it."""
        self.batches += 1
        self.batched += len(batch)
        costs, seconds = self._costs.worker, 0.0

        def answer(questions: ForwardBatch) -> ForwardOutput:
            nonlocal seconds
            fixed = 0.0
            lengths = iter([len(sequence) for sequence in questions.sequences])
            for name, count in questions.runs:
                part, rest = costs.seconds(name, [next(lengths) for _ in range(count)])
                fixed = max(fixed, part) if costs.grouped else fixed + part
                seconds += rest
            seconds += fixed
            return self._workload.verdicts(questions, seconds)

        step(answer, [ticket.decision for ticket in batch])
        return seconds

    def _respond(self, request: _Request) -> None:
        """The event loop writes an answer; its texts have left before it does, as in `Service`."""

        def begin() -> float:
            request.admission.answered()
            request.admission.close()
            return self._half(len(request.decisions))

        def then() -> None:
            self._loop.rest()
            for decision in request.decisions:
                self._outcome.students[decision.answer.stage.student.name] += 1
            self.answered(request.number)

        self.serving.submit(begin, then)

    def _half(self, texts: int) -> float:
        """Seconds that a request takes the event loop when it comes, and when it goes."""
        return self._costs.loop.half(texts) + self._loop.wake()

    def _tick(self) -> None:
        """The server looks at its load; it is late where the event loop has its hands full."""

        def begin() -> float:
            self._load.tick(self._asleep, self._clock.now, self._queue.age())
            return self._costs.loop.tick

        def then() -> None:
            self._loop.rest()
            self._asleep = self._clock.now
            self._clock.after(TICK_SECONDS, self._tick)

        self.serving.submit(begin, then)


class _Engine:
    """What the engine is about.

    occupied: it has a batch, or will look for one. again: when it is to look again at the latest,
    and alarm what the clock knows of that.
    """

    def __init__(self) -> None:
        self.occupied = False
        self.batch: list[QueueEntry] = []
        self.done: list[PendingRequest] = []
        self.again = inf
        self.alarm: int | None = None


class _Request(PendingRequest):
    """A job that knows its request. No future: nobody awaits anything in simulated time."""

    def __init__(self, decisions: list[Decision], number: int, admission: Admission) -> None:
        self.decisions, self.number, self.open = decisions, number, len(decisions)
        self.admission = admission
