"""The way of a request from texts to decisions, the same for every protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from math import inf
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ...models.cascade.decisions import Decision
from ...models.cascade.policy import Cascade
from ...models.runners.base import decide
from ..engine.embedder import Embedder
from ..engine.engine import Engine
from ..engine.executor import Executor, ExecutorGoneError
from ..engine.latency import LatencyEstimator
from ..engine.queue import WorkQueue
from ..engine.requests import PendingRequest
from ..engine.watchdog import Watchdog
from ..errors import Reason, RequestError, internal_error
from ..settings import Settings
from ..telemetry.metrics import Metrics
from .answer_cache import AnswerCache
from .constraints import RequestConstraints, check_feasible
from .load_control import TICK_SECONDS, LoadControl
from .policies import AUTO, Policies
from .requests import Answers, Embeddings, Inputs
from .shadow import ShadowEvaluator
from .tokenizing import Tokenizing

WARM_UP_LENGTHS = (4, 16, 64)


class Service:
    """Admits texts, tokenises them, has the engine answer them.

    backend: what computes; it is the service's from now on. All methods belong to the event loop.
    """

    def __init__(
        self,
        backend: Executor,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._backend = backend
        self.manifest = manifest = backend.manifest
        self.settings = settings
        self.metrics = metrics
        self.policies = Policies(manifest)
        self._limit = min(manifest.architecture.max_tokens, settings.max_batch_tokens)
        self._durations = LatencyEstimator()
        self.load = LoadControl(settings)
        self._tokenizing = Tokenizing(manifest.tokenizer, self._limit, settings.max_text_chars)
        self._embedder = Embedder(backend)
        self._cache = AnswerCache(settings.answer_cache, metrics)
        queue = WorkQueue(
            settings.max_batch_tokens, settings.max_batch_requests, settings.fill_ms / 1e3
        )
        self._engine = Engine(backend, queue, metrics, self._durations)
        self._watchdog = Watchdog(
            self._engine, backend, self._warm_up, settings.hang_seconds, metrics
        )
        self._queue = queue
        self.users = 0
        """Requests that were given to this service and have not ended."""
        self._shadowing = ShadowEvaluator(
            manifest, settings, metrics, lambda decisions: self._run(decisions, inf)
        )
        self._watching: asyncio.Task[None] | None = None

    @property
    def device(self) -> str:
        """Where the weights lie: `cpu` or `cuda`."""
        return self._backend.device.partition(":")[0]

    @property
    def ready(self) -> bool:
        """Whether texts are answered: from the end of the warm-up on, but for a restart."""
        return self._watchdog.well

    async def start(self) -> None:
        """Start the engine, and run every student once before the first request does."""
        self._loop = asyncio.get_running_loop()
        self.metrics.know(self.manifest.students)
        await self._backend.start()
        await self._engine.start(self._warm_up())
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Answer what has been accepted, then end the engine."""
        if self._watching:
            self._watching.cancel()
        await self._shadowing.stop()
        await self._engine.stop()
        self._tokenizing.close()
        await self._backend.stop()

    @property
    def price_per_second(self) -> float:
        """Of the device."""
        return self.settings.price_per_hour / 3600

    @property
    def browned_out(self) -> bool:
        """Whether answers are cheaper than asked for, because too many ask."""
        return self.load.level > 0

    @contextmanager
    def using(self) -> Iterator[None]:
        """A request has been given to this service, until the block ends."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    def show(self) -> None:
        """Be the service that the gauges of the metrics speak of."""
        self.metrics.know(self.manifest.students)
        self.metrics.guarantee.watches(self.manifest.cascades.values())
        self.metrics.serves(version("nestling"), self.manifest.weights_sha256[:12])
        self.metrics.gauges(
            lambda: len(self._queue),
            lambda: self._engine.running,
            lambda: self.load.level,
            lambda: len(self._cache),
        )

    async def retire(self) -> None:
        """Stop, once the last request that was given to this service has ended."""
        while self.users:
            await asyncio.sleep(TICK_SECONDS)
        await self.stop()

    async def answer(self, inputs: Inputs, contract: RequestConstraints) -> Answers:
        """One decision per text, in order.

        Cancelling this drops the request's work. Raises RequestError for an unknown model, a too
        long text, a full queue, a contract that cannot be met, a deadline that passes.
        """
        if not self.settings.answer_cache:
            return await self._compute(inputs, contract)
        cascade = self.policies.of(contract.model, contract.thresholds)
        return await self._cache.answer(cascade, inputs, contract, self._compute)

    async def _compute(self, inputs: Inputs, contract: RequestConstraints) -> Answers:
        """The same, without a look at earlier answers."""
        started = perf_counter()
        came = started if contract.arrived is None else contract.arrived
        asked = self.policies.of(contract.model, contract.thresholds)
        self._tokenizing.check(inputs, contract.truncate)
        with self.load.admit(len(inputs), apart=self._queue.is_large(len(inputs))) as admission:
            cascade = asked if contract.shadow else admission.cascade(asked)
            tokens = await self._tokenizing.tokens(
                inputs, admission, contract.truncate, contract.deadline
            )
            tokenized = perf_counter()
            self.metrics.tokenize_duration.observe(tokenized - started)
            decisions = [self._decide(cascade, ids, contract) for ids in tokens]
            if cascade is not asked:
                for decision in decisions:
                    decision.brownout = admission.level
            for index, decision in enumerate(decisions):
                field = inputs.field(index)
                check_feasible(decision, self._durations, came, tokenized, field)
            admission.tokens(sum(map(len, tokens)))
            answered = await self._run(decisions, contract.deadline)
            admission.answered()
        if not contract.shadow:
            self._shadowing.consider(answered)
        return Answers(answered, tokenized - started, perf_counter() - started)

    async def embed(
        self, inputs: Inputs, model: str = AUTO, dimensions: int | None = None
    ) -> Embeddings:
        """A student's vector of each text; `auto` and cascades stand for their last student.

        dimensions: a prefix of the vector, normalised again; None for all. Raises RequestError for
        an unknown model, a too long text, more dimensions than the student has, a full queue.
        """
        student = self.policies.of(model).stages[-1].student
        if dimensions is not None and not 1 <= dimensions <= student.spec.dim:
            raise RequestError(
                Reason.OUT_OF_RANGE,
                f"{dimensions}; {student.name!r} has from 1 to {student.spec.dim}",
                "dimensions",
            )
        self._tokenizing.check(inputs, truncate=False)
        with self.load.admit(len(inputs), apart=True) as admission:
            tokens = await self._tokenizing.tokens(inputs, admission)
            vectors = await self._embed(tokens, student.name, dimensions or student.spec.dim)
            if not np.isfinite(vectors).all():
                raise internal_error(f"an embedding by {student.name!r}: it is not finite, and so")
        return Embeddings(vectors, sum(map(len, tokens)))

    async def _embed(
        self, tokens: list[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        try:
            return await self._embedder.embed(tokens, student, dimensions)
        except ExecutorGoneError:
            while not self.ready:
                await asyncio.sleep(TICK_SECONDS)
        return await self._embedder.embed(tokens, student, dimensions)

    async def _watch(self) -> None:
        """Keep the brownout in step with the queue; replace what has died or hangs."""
        while True:
            asleep = perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            self.load.tick(asleep, perf_counter(), self._queue.age())
            await self._watchdog.look()

    def _warm_up(self) -> list[Decision]:
        return [
            decide(self.manifest, Cascade.alone(student), [0] * min(length, self._limit))
            for student in self.manifest.students.values()
            for length in WARM_UP_LENGTHS
        ]

    async def _run(self, decisions: list[Decision], deadline: float) -> list[Decision]:
        job = PendingRequest(decisions, self._loop.create_future())
        left = max(0.0, deadline - perf_counter())
        timer = self._loop.call_later(left, job.expire) if deadline < inf else None
        try:
            self._engine.submit(job)
            return await job.future
        finally:
            job.closed = True
            if timer:
                timer.cancel()

    def _decide(
        self, cascade: Cascade, tokens: list[int], contract: RequestConstraints
    ) -> Decision:
        decision = decide(self.manifest, cascade, tokens)
        decision.deadline = contract.deadline
        decision.max_cost = contract.max_cost
        decision.min_confidence = contract.min_confidence
        decision.shadow = contract.shadow
        return decision
