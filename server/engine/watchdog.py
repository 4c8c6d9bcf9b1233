"""The watchdog: what has died or hangs is replaced, and the server is not ready meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from ...models.cascade.decisions import Decision
from ..telemetry.metrics import Metrics
from .engine import Engine
from .executor import Executor

log = logging.getLogger(__name__)


class Watchdog:
    """Looks after an engine and its backend. Belongs to the event loop.

    warm_up: what a new one is asked first. hang_seconds: that a batch may take.
    """

    def __init__(
        self,
        engine: Engine,
        backend: Executor,
        warm_up: Callable[[], Sequence[Decision]],
        hang_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._engine, self._backend = engine, backend
        self._warm_up, self._hang_seconds = warm_up, hang_seconds
        self._metrics = metrics
        self._restarting = False

    @property
    def well(self) -> bool:
        """Whether texts are answered."""
        return self._engine.alive and self._backend.alive and not self._restarting

    async def look(self) -> None:
        """Look once, and return when all is well or a replacement has failed."""
        busy = self._engine.busy_since
        if busy is not None and perf_counter() - busy > self._hang_seconds:
            await self._restart("hangs", self._replace)
        elif not self._engine.alive:
            await self._restart("has died", self._replace)
        elif busy is None and not self._backend.alive:
            await self._restart("has died while idle", self._backend.restart)

    async def _replace(self) -> None:
        await self._engine.restart(self._warm_up())

    async def _restart(self, why: str, again: Callable[[], Awaitable[None]]) -> None:
        log.error("the engine %s: starting another", why)
        self._metrics.runner_restarts.inc()
        self._restarting = True
        try:
            await again()
            self._restarting = False
        except Exception:
            log.exception("the engine cannot be started again; trying once more")
