"""What the supervisor answers by: a service without a runner, whose texts the fronts answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ...models.checkpoint.manifest import Manifest, read_manifest
from ...models.errors import NestlingError
from ...models.runners.base import ForwardBatch, ForwardOutput
from ..build import open_record, recorded
from ..core.inference import Inference
from ..core.reload import Reloader
from ..core.service import Service
from ..engine.executor import Executor, ExecutorGoneError
from ..engine.worker.messages import Opened
from ..settings import Settings
from ..telemetry.metrics import Metrics
from ..telemetry.processes import ProcessMetrics
from ..telemetry.summed import SummedRegistry
from .front_process import FrontProcess
from .fronts import Fronts
from .messages import Came, Commit, Drop, Observed, Pin, Prepare, Refresh, Snapshot, Stands
from .promises import SupervisorWatch

if TYPE_CHECKING:
    from ...experiments.runtime import Experiments  # with all of the database

log = logging.getLogger(__name__)
GATHER_SECONDS = 2.0
"""That fronts may take to say how they stand; of one that takes longer, its last word counts."""


class AbsentExecutor:
    """Of a checkpoint that other processes have loaded: it says what is served."""

    def __init__(self, path: Path, opened: Opened) -> None:
        self.manifest: Manifest = replace(
            read_manifest(path),
            students=opened.students,
            cascades=opened.cascades,
            default=opened.default,
        )
        if self.manifest.weights_sha256 != opened.weights_sha256:
            raise NestlingError(f"{path}: its weights were replaced meanwhile")
        self.device, self.precision = opened.device, opened.precision
        self.device_failures = 0

    async def start(self) -> None:
        """There is nothing to be linked to."""

    def ask(self, batch: ForwardBatch) -> Awaitable[ForwardOutput]:
        raise ExecutorGoneError("texts are answered by other processes")

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> Awaitable[NDArray[np.float32]]:
        raise ExecutorGoneError("texts are answered by other processes")

    @property
    def alive(self) -> bool:
        return True

    async def turn(self) -> None:
        """It has a processor to itself."""

    async def restart(self) -> None:
        """Nothing runs here."""

    async def stop(self) -> None:
        """There is nothing to give back."""


class FrontedService(Service):
    """Ready while a front is."""

    loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        executor: Executor,
        settings: Settings,
        metrics: Metrics,
        watch: SupervisorWatch,
        fronts: Fronts,
    ) -> None:
        """metrics: in a `SummedRegistry`."""
        super().__init__(executor, settings, metrics, watch)
        self.fronts = fronts

    @property
    def ready(self) -> bool:
        return self.fronts.answering > 0

    async def start(self) -> None:
        """What starts are the fronts."""

    async def stop(self) -> None:
        if self.shadow:
            await self.shadow.stop()
        self.tokenizing.close()

    async def gather(self) -> None:
        """Ask the fronts; from the thread of a port of its own, too."""
        if self.loop is None or self.loop is asyncio.get_running_loop():
            await self._gather()
        else:
            asked = asyncio.run_coroutine_threadsafe(self._gather(), self.loop)
            await asyncio.wrap_future(asked)

    async def _gather(self) -> None:
        answers = await self.fronts.ask(Snapshot(), seconds=GATHER_SECONDS)
        for front, families in answers.items():
            if not isinstance(families, BaseException) and front.ready:
                cast(SummedRegistry, self.metrics.registry).read(front, families)


class FrontsReloader(Reloader):
    """Has all fronts do what one server does: load beside the old, and switch, all or none."""

    def __init__(
        self,
        fronts: Fronts,
        build: Callable[[Executor], Service],
        service: Service,
        accept: Callable[[Executor], None],
    ) -> None:
        super().__init__(_by_fronts, build, service, accept)
        self.fronts, self._before = fronts, fronts.begin

    async def start(self) -> None:
        cast(FrontedService, self.service).loop = asyncio.get_running_loop()
        self.service.show()
        await self.fronts.start()

    async def prepare(self, path: Path | None) -> Executor:
        await self._busy.acquire()
        await self.fronts.changing.acquire()
        answers: dict[FrontProcess, Any] = {}
        path = path or self.fronts.given.path
        before = self.fronts.begin
        try:
            answers = await self.fronts.ask(Prepare(path))
            executor = self._agreed(path, list(answers.values()))
            self._accept(executor)
            self._prepared = [self._build(executor)]
        except BaseException:
            self.fronts.begin = before
            loaded = [each for each, said in answers.items() if isinstance(said, Opened)]
            await self.fronts.ask(Drop(), loaded)
            self._release()
            raise
        self._next, self._before = path, before
        return executor

    def _agreed(self, path: Path, said: list[Any]) -> Executor:
        """What all have loaded. Raises NestlingError where one has not."""
        for each in said:
            if isinstance(each, NestlingError):
                raise each
            if isinstance(each, BaseException):
                raise NestlingError(f"a process failed to load it: {each}") from each
        if not said:
            raise NestlingError("no process answers that could load it")
        opened: list[Opened] = said
        self.fronts.take_up(path, opened)
        return AbsentExecutor(path, opened[0])

    async def drop(self) -> None:
        await self.fronts.ask(Drop())
        self._prepared, self.fronts.begin = [], self._before
        self._release()

    async def commit(self) -> Manifest:
        try:
            await self.fronts.ask(Commit())
            loop = cast(FrontedService, self.service).loop
            cast(FrontedService, self._prepared[0]).loop = loop
            return await super().commit()
        finally:
            self.fronts.changing.release()

    async def pin(self, runners: Collection[str]) -> None:
        """All fronts have them, and know what is declared. Raises NestlingError."""
        for said in (await self.fronts.ask(Pin(tuple(runners)))).values():
            if isinstance(said, NestlingError):
                raise said
        await self.fronts.ask(Refresh())

    def _release(self) -> None:
        self.fronts.changing.release()
        self._busy.release()


def _by_fronts(*_: object) -> Executor:
    raise NestlingError("it is for the fronts to load")


def supervised(fronts: Fronts, settings: Settings) -> Inference:
    """What answers all but texts, by the checkpoint that the fronts have loaded."""
    executor = AbsentExecutor(fronts.begin.open.path, fronts.opened)
    registry = SummedRegistry()
    metrics = Metrics(executor.manifest.students, registry=registry)
    processes = ProcessMetrics(registry, lambda: fronts.answering)
    watch = SupervisorWatch(
        metrics.guarantee, settings.on_violation, lambda: fronts.tell(Stands(watch.stand))
    )
    experiments: Experiments | None = None

    def build(executor: Executor) -> Service:
        return FrontedService(executor, settings, metrics, watch, fronts)

    def accept(executor: Executor) -> None:
        if experiments:
            experiments.accept(executor.manifest, executor.precision)

    def told(message: object) -> None:
        if isinstance(message, Came):
            watch.came(message)
        elif isinstance(message, Observed):
            watch.observed(message)

    def lost(front: FrontProcess, replaced: bool) -> None:
        registry.ended(front)
        if replaced:
            processes.restarted()

    fronts.stand, fronts.told, fronts.lost = lambda: watch.stand, told, lost
    services = FrontsReloader(fronts, build, build(executor), accept)
    database = open_record(settings, executor.manifest, executor.precision)
    if database is not None:
        experiments = recorded(database, services, registry, settings)
    return Inference(services, experiments)
