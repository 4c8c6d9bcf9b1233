"""One server in simulated time.

The server's own code makes the decisions: `LoadControl`, `WorkQueue`, `decide`, `step`,
`postprocess`. Only what takes time is simulated. Requests and the engine take turns on the event
loop, which has one core; the worker, which computes, has another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf

from ...models.cascade.columns import Decisions
from ...models.runners.base import ForwardBatch, ForwardOutput
from ...models.runners.scheduled import Said, ScheduledBatch, decide
from ...server.core.load_control import TICK_SECONDS, Admission, LoadControl
from ...server.engine.engine import postprocess
from ...server.engine.pending import PendingPart, PendingRequest
from ...server.engine.queue import WorkQueue
from ...server.errors import RequestError
from .clock import SimulatedClock
from .core import Core
from .idle import IdlePenalty
from .inputs import SimulationInput
from .result import SimulationResult
from .speed import Speed

RESOLUTION = 1e-6
"""Seconds that an alarm takes at least: in less, time might not move on at all."""


class Replica:
    """Answers requests, at the costs of a profile.

    seed: of the moments at which the cores' speeds begin. answered: is called with the number of
    each request that has ended. serving, worker: the cores of the event loop and of the worker.
    """

    def __init__(
        self, clock: SimulatedClock, inputs: SimulationInput, result: SimulationResult, seed: int
    ) -> None:
        settings, costs = inputs.settings, inputs.costs
        self._clock, self._result = clock, result
        self._manifest, self._workload = inputs.manifest, inputs.workload
        self._costs, self._cascade = costs, inputs.manifest.policy(inputs.model)
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
        self._asleep = 0.0
        """When the task that ticks last went to sleep."""
        self._engine = _Engine()
        self._loop = IdlePenalty(clock, costs.loop.cold, costs.cooling, costs.loop.waking)
        self._students = {
            name: IdlePenalty(clock, cost.cold, costs.cooling)
            for name, cost in costs.worker.students.items()
        }
        clock.after(TICK_SECONDS, self._tick)

    def receive(self, number: int, rows: Sequence[int]) -> None:
        """A request has come. rows: its texts, of the workload."""
        admitted: list[_Request] = []

        def begin() -> float:
            try:
                self._load.check_delay()
                admitted.append(self._admit(number, rows))
            except RequestError:
                self._result.refused[number] = True
            return self._half(len(rows))

        def then() -> None:
            self._loop.rest()
            if not admitted:
                self.answered(number)
                return
            [request] = admitted
            request.arrived = self._clock.now
            self._queue.put(request)
            self._wake_engine()

        self.serving.submit(begin, then)

    def _admit(self, number: int, rows: Sequence[int]) -> _Request:
        admission = self._load.admit(len(rows), apart=len(rows) > self._queue.largest_small)
        cascade = admission.cascade(self._cascade)
        texts = [self._workload.tokens(row) for row in rows]
        decisions = decide(self._manifest, cascade, texts)
        try:
            admission.tokens(sum(decisions.lengths))
        except RequestError:
            admission.close()
            raise
        self._result.browned_out[number] = cascade is not self._cascade
        return _Request(decisions, number, admission)

    def _wake_engine(self) -> None:
        """The engine is to look into the queue, unless it has a batch, or will in any case."""
        if not self._engine.occupied:
            self._engine.occupied = True
            self.serving.submit(self._turn, self._turned)

    def _turn(self) -> float:
        """The engine has the event loop: it finishes one batch, and takes the next."""
        engine, costs = self._engine, self._costs.engine
        finished = sum([len(part.rows) for part, _, _ in engine.said])
        engine.done, escalated = postprocess(engine.said, self._clock.now)
        engine.said = []
        if escalated:
            self._queue.requeue(escalated)
        engine.batch, wait = self._queue.take()
        engine.again = self._clock.now + max(wait, RESOLUTION)
        if engine.alarm is not None:
            self._clock.cancel(engine.alarm)
            engine.alarm = None
        taken = sum([len(part.rows) for part in engine.batch])
        halves = [costs.half(texts) for texts in (finished, taken) if texts]
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
        for request in engine.done:
            assert isinstance(request, _Request)
            self._respond(request)
        if engine.batch:
            self._compute(engine.batch)
            return
        engine.occupied = False
        if engine.again < inf:
            engine.alarm = self._clock.at(engine.again, self._alarm)

    def _compute(self, parts: Sequence[PendingPart]) -> None:
        """The worker computes a batch, after which the engine has its next turn."""
        batch = ScheduledBatch.of(parts)
        students = [self._students[name] for name in batch.students]
        seconds, output = self._forward(batch.forward)
        self._engine.said = batch.record(output)

        def begin() -> float:
            return seconds + sum(student.wake() for student in students)

        def then() -> None:
            for student in students:
                student.rest()
            self.serving.submit(self._turn, self._turned)

        self.worker.submit(begin, then)

    def _forward(self, batch: ForwardBatch) -> tuple[float, ForwardOutput]:
        """What the students say, and the seconds that the worker needs for that."""
        self._result.batches += 1
        self._result.batched += len(batch.lengths)
        costs, seconds, fixed = self._costs.worker, 0.0, 0.0
        lengths = iter(batch.lengths.tolist())
        for name, count in batch.runs:
            part, rest = costs.seconds(name, [next(lengths) for _ in range(count)])
            fixed = max(fixed, part) if costs.grouped else fixed + part
            seconds += rest
        seconds += fixed
        return seconds, self._workload.forward(batch, seconds)

    def _respond(self, request: _Request) -> None:
        """The event loop writes an answer; as in the server, its texts have left before."""

        def begin() -> float:
            request.admission.answered()
            request.admission.close()
            return self._half(len(request.decisions))

        def then() -> None:
            self._loop.rest()
            for stage in request.decisions.told.stages:
                self._result.students[stage.student.name] += 1
            self.answered(request.reference)

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
    """The state of the engine.

    occupied: it has a batch, or will look for one. said: what was said of it, once the worker has
    begun. done: requests that it has just finished.
    again: when it is to look again at the latest, and alarm what the clock knows of that.
    """

    def __init__(self) -> None:
        self.occupied = False
        self.batch: list[PendingPart] = []
        self.said: list[Said[PendingPart]] = []
        self.done: list[PendingRequest] = []
        self.again = inf
        self.alarm: int | None = None


class _Request(PendingRequest):
    """One with its number in the result; nobody awaits anything in simulated time."""

    def __init__(self, decisions: Decisions, number: int, admission: Admission) -> None:
        super().__init__(decisions, None, 0.0)
        self.reference, self.admission = number, admission
