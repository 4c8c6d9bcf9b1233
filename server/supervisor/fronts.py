"""The fronts as the supervisor has them: begun, watched, replaced, asked, and ended."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, cast

from ...models.errors import NestlingError
from ...models.progress import Progress
from ...models.runners import RunnerName
from ..engine.executor import ExecutorGoneError
from ..engine.worker.messages import Open, Opened
from .board import Board
from .forking import Forker
from .front_process import FrontProcess
from .messages import Begin, Drain, Stand, Stands

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.25
"""From one look at the fronts to the next."""
QUIET_SECONDS = 10.0
"""A front that has answered for so long is replaced at once; one that has not, after a longer and
longer time."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
GRACE_SECONDS = 5.0
"""Beyond the time that a front has for its last answers, until it is killed."""


class Fronts:
    """All fronts. Belongs to the event loop, but for `open`.

    begin: what each is told first; of another checkpoint after a reload. given: what was to be
    opened at start, and how. stand: how the promises stand. told: what a front says that is not of
    its own state. lost: told of each that has ended, and whether it had to be replaced. changing:
    held while fronts begin, or load something else.
    """

    def __init__(self, count: int, forker: Forker, board: Board, begin: Begin) -> None:
        self._count, self._forker, self._board = count, forker, board
        self.begin, self.given = begin, begin.open
        self.stand: Callable[[], Stand] = dict
        self.told: Callable[[Any], None] = lambda _: None
        self.lost: Callable[[FrontProcess, bool], None] = lambda *_: None
        self.changing = asyncio.Lock()
        self._fronts: list[FrontProcess] = []
        self._serve: Callable[[socket.socket, bytes], None] | None = None
        self._waiting: list[tuple[socket.socket, bytes]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._pauses: dict[int, float] = {}
        """By slot, while what begins there soon ends."""

    def open(self, progress: Progress) -> Opened:
        """Begin all, and wait until they have loaded. Raises as `FrontProcess.opened` does."""
        for slot in range(self._count):
            self._fronts.append(self._fork(slot))
        said = [front.opened(progress) for front in self._fronts]
        self.take_up(self.given.path, said)
        return self.opened

    @property
    def opened(self) -> Opened:
        """What is served."""
        assert self.begin.served
        return self.begin.served

    def take_up(self, path: Path, said: Sequence[Opened]) -> None:
        """What all have loaded is what those that begin later serve, whatever the settings would
        choose or the files say by then. Raises NestlingError where they have not loaded the same.
        """
        first = said[0]
        for each in said[1:]:
            if _identity(each) != _identity(first):
                raise NestlingError(f"{path}: it was replaced while it was loaded; try again")
        settings = replace(
            self.given.settings, device=first.device, runner=cast("RunnerName", first.runner)
        )
        if first.precision != "int8":
            settings = replace(settings, dtype=first.precision)
        self.begin = replace(self.begin, open=Open(path, settings), served=first)

    async def start(self) -> None:
        """Have all answer. Raises ExecutorGoneError."""
        await asyncio.gather(*(self._attach(front) for front in self._fronts))
        self._later(self._watch())

    def kill_all(self) -> None:
        """Whatever happens, none outlives the server."""
        for front in self._fronts:
            front.end()

    @property
    def well(self) -> list[FrontProcess]:
        """Those that answer now."""
        return [front for front in self._fronts if front.well]

    @property
    def answering(self) -> int:
        """How many answer, though one may be late just now."""
        return sum(front.answers for front in self._fronts)

    def serve_others(self, serve: Callable[[socket.socket, bytes], None]) -> None:
        """serve: answers on a connection in this process."""
        self._serve = serve

    def spread(self, connection: socket.socket) -> None:
        """A new connection goes to the front with the fewest; where none answers, this process does
        what it can.
        """
        if well := self.well:
            min(well, key=lambda front: front.open).give(connection, b"")
        elif self._serve:
            self._serve(connection, b"")

    def hand(self, connection: socket.socket, begun: bytes) -> None:
        """A connection on which a text is asked. Where no front answers it waits."""
        if well := self.well:
            min(well, key=lambda front: front.open).give(connection, begun)
        elif self._draining:
            connection.close()
        else:
            self._waiting.append((connection, begun))

    def tell(self, message: object) -> None:
        """Say something to all that answer."""
        for front in self._fronts:
            if front.ready and front.link:
                front.link.tell(message)

    async def ask(
        self,
        message: object,
        whom: Sequence[FrontProcess] | None = None,
        seconds: float | None = None,
    ) -> dict[FrontProcess, Any]:
        """The answer, or what was raised of it, of each that answers. whom: None for all. seconds:
        after which one that has not answered is a TimeoutError; None waits.
        """
        asked = {
            front: asyncio.wait_for(front.link.ask(message), seconds)
            for front in (self._fronts if whom is None else whom)
            if front.ready and front.link
        }
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        return dict(zip(asked, answers, strict=True))

    async def drain(self) -> None:
        """Have all answer what they have accepted, and end."""
        self._draining = True
        for connection, _ in self._waiting:
            connection.close()
        self._waiting.clear()
        while any(front.ready and front.handing and front.handing.busy for front in self._fronts):
            await asyncio.sleep(LOOK_SECONDS / 5)
        self.tell(Drain())
        seconds = self.given.settings.shutdown_timeout + GRACE_SECONDS
        until = monotonic() + seconds
        while any(front.ready for front in self._fronts) and monotonic() < until:
            await asyncio.sleep(LOOK_SECONDS / 5)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for front in self._fronts:
            if front.ready:
                log.error("a process has not ended in time, and is killed")
            await asyncio.to_thread(front.end)
            front.close()
        self._fronts.clear()

    def _fork(self, slot: int) -> FrontProcess:
        return FrontProcess(slot, self._forker, self._board, self.begin)

    async def _attach(self, front: FrontProcess) -> None:
        await front.attach(self.stand(), self.told, partial(self._gone, front), self._given_back)
        if front.link:
            front.link.tell(Stands(self.stand()))

    def _given_back(self, connection: socket.socket, begun: bytes) -> None:
        """A front does not answer such requests."""
        if self._serve:
            self._serve(connection, begun)

    def _gone(self, front: FrontProcess) -> None:
        self.lost(front, not self._draining)
        if not self._draining:
            self._later(self._replace(front))

    async def _watch(self) -> None:
        hang = self.given.settings.hang_seconds
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for front in self._fronts:
                if front.ready and front.silent > hang:
                    log.error("process %d hangs: it is killed", front.pid)
                    front.ready = False
                    front.kill()
            if self._waiting and self.well:
                waiting, self._waiting = self._waiting, []
                for connection, begun in waiting:
                    self.hand(connection, begun)

    async def _replace(self, front: FrontProcess) -> None:
        try:
            await self._again(front)
        except EOFError:
            log.critical("the process that starts the others has ended, and all with it")
            logging.shutdown()
            os._exit(1)

    async def _again(self, front: FrontProcess) -> None:
        """Begin another, as often as it takes. Raises EOFError once nothing can be begun."""
        quiet = monotonic() - front.since > QUIET_SECONDS
        status = await asyncio.to_thread(front.end)
        front.close()
        log.error("process %d has ended with status %d: starting another", front.pid, status)
        if quiet:
            self._pauses.pop(front.slot, None)
        pause = 0.0 if quiet else self._longer(front.slot)
        while True:
            await asyncio.sleep(pause)
            try:
                async with self.changing:
                    await self._begin_again(front)
                return
            except (NestlingError, ExecutorGoneError, OSError, RuntimeError) as error:
                log.error("a process cannot be started again: %s; trying once more", error)
            pause = self._longer(front.slot)

    def _longer(self, slot: int) -> float:
        """The pause before the next beginning there."""
        longer = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pauses.get(slot, 0.0)))
        self._pauses[slot] = longer
        return longer

    async def _begin_again(self, gone: FrontProcess) -> None:
        index = self._fronts.index(gone) if gone in self._fronts else gone.slot
        fresh = await asyncio.to_thread(self._fork, gone.slot)
        try:
            opened = await asyncio.to_thread(fresh.opened)
            if _weights(opened) != _weights(self.opened):
                raise NestlingError(
                    f"{self.begin.open.path}: its weights were replaced meanwhile; reload them"
                )
            self._fronts[index] = fresh
            await self._attach(fresh)
        except BaseException:
            fresh.ready = False
            await asyncio.to_thread(fresh.end)
            fresh.close()
            raise
        log.info("process %d answers in place of %d", fresh.pid, gone.pid)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("the watch over the processes has failed", exc_info=error)


def _weights(opened: Opened) -> tuple[str, ...]:
    return opened.weights_sha256, opened.precision


def _identity(opened: Opened) -> tuple[object, ...]:
    """All by which answers may differ."""
    return (
        *_weights(opened),
        opened.runner,
        opened.default,
        {name: each.temperature for name, each in opened.students.items()},
        {name: each.version(opened.weights_sha256) for name, each in opened.cascades.items()},
    )
