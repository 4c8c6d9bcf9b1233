"""Another checkpoint without a pause: built beside the old one, then one pointer moves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import cast

from ...models.checkpoint.manifest import Manifest
from ...models.errors import NestlingError
from ...models.runners import RunnerName
from ..engine.executor import Executor, ExecutorGoneError
from ..errors import Reason, RequestError
from .service import Service

log = logging.getLogger(__name__)
Load = Callable[[Path | None, RunnerName | None], Executor]
"""An executor of a verified checkpoint, by a runner; None for what was given at start."""


class Reloader:
    """Holds the services that answer, and replaces them.

    service: for all requests but those whose experiment pins another runner; pinned: for these, by
    runner. build: a service of an executor, not yet started. accept: raises NestlingError for what
    `service` must not be replaced by. Belongs to the event loop. A request takes its service
    once: its answer comes wholly from one checkpoint.
    """

    def __init__(
        self,
        load: Load,
        build: Callable[[Executor], Service],
        service: Service,
        accept: Callable[[Executor], None],
    ) -> None:
        self._load, self._build, self._accept = load, build, accept
        self.service = service
        self.pinned: dict[str, Service] = {}
        self._path: Path | None = None
        self._next: Path | None = None
        self._prepared: list[Service] = []
        self._busy = asyncio.Lock()
        self._old: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start what was given."""
        await self.service.start()
        self.service.show()

    async def reload(self, path: Path | None = None) -> Manifest:
        """Load, verify, warm up, swap; the old one goes on until then and ends what it accepted.

        Raises RequestError, and the old one goes on serving: while another reload runs, and for a
        checkpoint that cannot be served.
        """
        if self._busy.locked():
            raise RequestError(Reason.RELOADING, "another reload is under way; try again later")
        try:
            await self.prepare(path)
        except NestlingError as error:
            log.error("reload refused: %s", error)
            raise RequestError(
                Reason.BAD_CHECKPOINT, f"{error}; the old checkpoint goes on serving"
            ) from error
        manifest = await self.commit()
        log.info(
            "serving weights %s in %s now", manifest.weights_sha256[:12], self.service.precision
        )
        return manifest

    async def prepare(self, path: Path | None) -> Executor:
        """The first half of a reload: all but the swap, which `commit` or `drop` has to follow.
        Returns what would compute then.

        Nothing else is loaded until then. Raises NestlingError, and the old one goes on serving.
        """
        await self._busy.acquire()
        try:
            self._prepared = await self._begin_all(path, (None, *self.pinned))
        except BaseException:
            self._busy.release()
            raise
        self._next = path  # a runner that is pinned later is of the same
        return self._prepared[0].executor

    async def drop(self) -> None:
        """End what was prepared."""
        prepared, self._prepared = self._prepared, []
        try:
            for service in prepared:
                await service.stop()
        finally:
            self._busy.release()

    async def commit(self) -> Manifest:
        """Serve what was prepared; what is served until now ends once its last request has."""
        old = [self.service, *self.pinned.values()]
        self.service, *pinned = self._prepared
        self._prepared, self._path = [], self._next
        self.pinned = dict(zip(self.pinned, pinned, strict=True))
        self.service.show()
        for service in old:
            self._retire(service)
        self._busy.release()
        return self.service.manifest

    async def pin(self, runners: Collection[str]) -> None:
        """Have a service for each of these runners, and for no other beside the main one.

        Raises NestlingError, and all stays as it was.
        """
        async with self._busy:
            wanted = [name for name in runners if name != self.service.settings.runner]
            kept = {name: self.pinned[name] for name in wanted if name in self.pinned}
            missing = [name for name in wanted if name not in kept]
            fresh = await self._begin_all(self._path, missing)
            gone = [service for name, service in self.pinned.items() if name not in kept]
            self.pinned = kept | dict(zip(missing, fresh, strict=True))
            for service in gone:
                self._retire(service)

    async def stop(self) -> None:
        """End the services, and those replaced that have not ended yet."""
        services = (self.service, *self.pinned.values())
        await asyncio.gather(*(service.stop() for service in services), *self._old)

    async def _begin_all(self, path: Path | None, runners: Iterable[str | None]) -> list[Service]:
        """A started service for each runner, or, whatever goes wrong with one of them, for none.

        Raises NestlingError where a checkpoint cannot be served.
        """
        started: list[Service] = []
        try:
            for runner in runners:
                started.append(await self._begin(path, runner))
        except BaseException as error:
            for service in started:
                await service.stop()
            if isinstance(error, ExecutorGoneError):
                raise NestlingError(str(error)) from error
            raise
        return started

    async def _begin(self, path: Path | None, runner: str | None) -> Service:
        executor = await asyncio.to_thread(self._load, path, cast("RunnerName | None", runner))
        try:
            if runner is None:
                self._accept(executor)
            service = self._build(executor)
            await service.start()
        except BaseException:
            await executor.stop()
            raise
        return service

    def _retire(self, service: Service) -> None:
        ending = asyncio.create_task(service.retire())
        self._old.add(ending)
        ending.add_done_callback(self._old.discard)
