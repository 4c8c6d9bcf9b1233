"""The watchdog: it looks at the load, and replaces what has died or hangs.

The server is not ready meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from ...models.cascade.columns import Decisions
from ..engine.engine import Engine
from ..engine.executor import Executor
from ..engine.queue import WorkQueue
from ..telemetry.metrics import Metrics
from .load_control import TICK_SECONDS, LoadControl

log = logging.getLogger(__name__)


class Watchdog:
    """Looks after an engine, its executor and their load. Belongs to the event loop.

    warm_up: what a new one is asked first. hang_seconds: that a batch may take.
    """

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        queue: WorkQueue,
        load: LoadControl,
        warm_up: Callable[[], Sequence[Decisions]],
        hang_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._engine, self._executor, self._queue, self._load = engine, executor, queue, load
        self._warm_up, self._hang_seconds = warm_up, hang_seconds
        self._metrics = metrics
        self._restarting = False

    @property
    def well(self) -> bool:
        """Whether texts are answered."""
        return self._engine.alive and self._executor.alive and not self._restarting

    async def watch(self) -> None:
        """Look every TICK_SECONDS until it is cancelled. A replacement is waited for."""
        engine, executor, queue = self._engine, self._executor, self._queue
        while True:
            asleep = perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            now = perf_counter()
            self._load.tick(asleep, now, queue.age() if queue.waiting else 0.0)
            busy = engine.busy_since
            if busy is not None and now - busy > self._hang_seconds:
                await self._restart("hangs", self._replace)
            elif not engine.alive:
                await self._restart("has died", self._replace)
            elif busy is None and not executor.alive:
                await self._restart("has died while idle", executor.restart)

    async def _replace(self) -> None:
        await self._engine.restart(self._warm_up())

    async def _restart(self, why: str, again: Callable[[], Awaitable[None]]) -> None:
        log.error("the engine %s: starting another", why)
        self._metrics.runner_restarts.inc()
        self._restarting = True
        failures = self._executor.device_failures
        try:
            await again()
            self._restarting = False
        except Exception:
            log.exception("the engine cannot be started again; trying once more")
        finally:
            self._metrics.device_failures.inc(self._executor.device_failures - failures)
