"""The way of a request from texts to decisions, the same for every protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..models.cascade import Cascade
from ..models.checkpoint import Checkpoint
from ..models.decision import Decision
from ..models.predictor import decide
from .engine.engine import Engine
from .engine.job import Job
from .engine.queue import WorkQueue
from .engine.runner import Runner, TorchRunner
from .errors import Reason, RequestError
from .routing.policy import Policies
from .settings import Settings
from .telemetry.metrics import Metrics

WARM_UP_LENGTHS = (4, 16, 64)
TOKENIZER_THREADS = 2
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True)
class Inputs:
    """The texts of one request. single: it was one text, not a list with one text in it."""

    texts: list[str]
    single: bool

    def field(self, index: int) -> str:
        """What errors call a text."""
        return "inputs" if self.single else f"inputs[{index}]"


class Service:
    """Admits texts, tokenises them off the event loop, has the engine answer them.

    run: the backend; by default torch, where the checkpoint's weights lie. All methods belong to
    the event loop.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        settings: Settings,
        metrics: Metrics,
        run: Runner | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.settings = settings
        self.metrics = metrics
        self.policies = Policies(checkpoint)
        self._limit = min(checkpoint.architecture.max_tokens, settings.max_batch_tokens)
        self._unanswered = 0
        self._tokenizers = ThreadPoolExecutor(TOKENIZER_THREADS, "tokenizer")
        queue = WorkQueue(settings.max_batch_tokens, settings.max_batch_requests)
        self._engine = Engine(run or TorchRunner(checkpoint.model), queue, metrics, self._deliver)
        metrics.gauges(lambda: len(queue), lambda: self._engine.running)

    @property
    def ready(self) -> bool:
        """Whether texts are answered: from the end of the warm-up on."""
        return self._engine.alive

    async def start(self) -> None:
        """Start the engine, and run every student once before the first request does."""
        self._loop = asyncio.get_running_loop()
        warm_up = [
            decide(self.checkpoint, Cascade.alone(student), [0] * min(length, self._limit))
            for student in self.checkpoint.students.values()
            for length in WARM_UP_LENGTHS
        ]
        await asyncio.to_thread(self._engine.start, warm_up)

    async def stop(self) -> None:
        """Answer what has been accepted, then end the engine."""
        await asyncio.to_thread(self._engine.stop)
        self._tokenizers.shutdown()

    async def answer(self, inputs: Inputs, model: str, truncate: bool = False) -> list[Decision]:
        """One decision per text, in order.

        truncate: answer a too long text by its beginning. Cancelling this drops the request's
        work. Raises RequestError for an unknown model, a too long text, a full queue.
        """
        cascade = self.policies.of(model)
        self._admit(len(inputs.texts))
        try:
            tokens = await self._loop.run_in_executor(
                self._tokenizers, self._encode, inputs, truncate
            )
            job = Job(
                [decide(self.checkpoint, cascade, ids) for ids in tokens],
                self._loop.create_future(),
            )
            self._engine.submit(job)
            try:
                return await job.future
            finally:
                job.closed = True
        finally:
            self._unanswered -= len(inputs.texts)

    def _admit(self, texts: int) -> None:
        limit = self.settings.max_queued_requests
        if self._unanswered + texts > limit:
            raise RequestError(
                Reason.OVERLOADED,
                f"{self._unanswered} texts are waiting and {texts} more would exceed the limit of "
                f"{limit}; try again in {RETRY_AFTER_SECONDS} s",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                limit=limit,
                actual=self._unanswered,
            )
        self._unanswered += texts

    def _encode(self, inputs: Inputs, truncate: bool) -> list[list[int]]:
        tokenizer = self.checkpoint.tokenizer
        encoded = tokenizer.encode(inputs.texts)
        for index, ids in enumerate(encoded):
            if len(ids) > self._limit:
                if not truncate:
                    raise RequestError(
                        Reason.TOO_LONG,
                        f"{len(ids)} tokens; the limit is {self._limit}",
                        inputs.field(index),
                        limit=self._limit,
                        actual=len(ids),
                    )
                encoded[index] = tokenizer.encode_truncated(inputs.texts[index], self._limit)
        return encoded

    def _deliver(self, jobs: Sequence[Job]) -> None:
        self._loop.call_soon_threadsafe(_deliver_all, jobs)  # one wake-up for a whole batch


def _deliver_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.deliver()
