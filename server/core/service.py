"""The parts that answer for one checkpoint, from their start to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version

from ...models.cascade.columns import Decisions
from ...models.cascade.policy import Cascade
from ...models.runners.scheduled import decide
from ..engine.embedder import Embedder
from ..engine.engine import Engine
from ..engine.executor import Executor
from ..engine.latency import LatencyEstimator
from ..engine.queue import WorkQueue
from ..settings import Settings
from ..telemetry.metrics import Metrics
from .answer_cache import AnswerCache
from .guarantee_watch import GuaranteeWatch
from .load_control import TICK_SECONDS, LoadControl
from .policies import Policies
from .shadow import ShadowEvaluator
from .tokenizing import Tokenizing
from .watchdog import Watchdog

WARM_UP_LENGTHS = (4, 16, 64)


class Service:
    """What `inference` asks, in its order, to answer a request.

    executor: what computes; it is the service's from now on. watch: over the promises, the same for
    all services of a server. cache, shadow: None where the settings
    want none. users: requests that were given to this service and have not ended. device: where the
    weights lie, `cpu` or `cuda`. precision: in which it computes. price_per_second: of the device.
    All methods belong to the event loop.
    """

    def __init__(
        self, executor: Executor, settings: Settings, metrics: Metrics, watch: GuaranteeWatch
    ) -> None:
        self.executor, self.watch = executor, watch
        self.manifest = manifest = executor.manifest
        self.settings, self.metrics = settings, metrics
        self.users = 0
        self.device = executor.device.partition(":")[0]
        self.precision = executor.precision
        self.price_per_second = settings.price_per_hour / 3600
        self.policies = Policies(manifest)
        self.ta_flops = manifest.ta.flops_by_length
        self.load = LoadControl(settings)
        self._max_tokens = min(manifest.architecture.max_tokens, settings.max_batch_tokens)
        self.tokenizing = Tokenizing(manifest.tokenizer, self._max_tokens, settings.max_text_chars)
        self.durations = LatencyEstimator()
        self.queue = WorkQueue(
            settings.max_batch_tokens, settings.max_batch_requests, settings.fill_ms / 1e3
        )
        self.engine = Engine(executor, self.queue, metrics, self.durations)
        self.embedder = Embedder(executor)
        self.cache = AnswerCache(settings.answer_cache, metrics) if settings.answer_cache else None
        self.shadow = (
            ShadowEvaluator(
                manifest, executor.precision, settings, metrics.guarantee, watch, self.engine.run
            )
            if settings.shadow
            else None
        )
        self._watchdog = Watchdog(
            self.engine,
            executor,
            self.queue,
            self.load,
            self._warm_up,
            settings.hang_seconds,
            metrics,
        )
        self._watching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether texts are answered: from the end of the warm-up on, but for a restart."""
        return self._watchdog.well

    async def start(self) -> None:
        """Start the engine, and run every student once before the first request does."""
        abstaining = [name for name, each in self.manifest.cascades.items() if each.abstains]
        self.metrics.know(self.manifest.students, abstaining)
        await self.executor.start()
        await self.engine.start(self._warm_up())
        self._watching = asyncio.create_task(self._watchdog.watch())

    async def stop(self) -> None:
        """Answer what has been accepted, then end the engine."""
        if self._watching:
            self._watching.cancel()
        if self.shadow:
            await self.shadow.stop()
        await self.engine.stop()
        self.tokenizing.close()
        await self.executor.stop()

    async def gather(self) -> None:
        """Have the metrics speak of this moment, where they are of many processes."""

    async def retire(self) -> None:
        """Stop, once the last request that was given to this service has ended."""
        while self.users:
            await asyncio.sleep(TICK_SECONDS)
        await self.stop()

    def show(self) -> None:
        """Be the service that the gauges of the metrics speak of."""
        cache = self.cache
        abstaining = [name for name, each in self.manifest.cascades.items() if each.abstains]
        self.metrics.know(self.manifest.students, abstaining)
        self.watch.serves(self.manifest)
        self.metrics.serves(version("nestling"), self.manifest.weights_sha256[:12])
        self.metrics.gauges(
            lambda: len(self.queue),
            lambda: self.engine.running,
            lambda: self.load.level,
            lambda: 0 if cache is None else len(cache),
        )

    def _warm_up(self) -> Sequence[Decisions]:
        return [
            decide(self.manifest, Cascade.alone(student), [[0] * min(length, self._max_tokens)])
            for student in self.manifest.students.values()
            for length in WARM_UP_LENGTHS
        ]
