"""A front: one of the processes that answer texts, each with a queue and a runner of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator, MutableSet
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import uvicorn

from ...models import runners
from ...models.progress import SILENT
from ...models.runners import RunnerName
from ..build import assemble
from ..core.inference import Inference
from ..engine.executor import Executor
from ..engine.front_executor import FrontExecutor
from ..engine.worker.channel import BlockingChannel
from ..engine.worker.messages import Open
from ..engine.worker.opening import ToldProgress, failed, open_runner
from ..http.auth import Keyring
from ..http.connection.config import Config
from ..http.connection.head import Head
from ..http.front import TextPaths, create_front, text_routes
from ..settings import Settings
from .accepting import connect
from .board import Board
from .garbage import settle
from .handing import Handing
from .link import ControlLink
from .messages import Begin, Commit, Drain, Drop, Go, Pin, Prepare, Ready, Refresh, Snapshot, Stands
from .promises import FrontWatch

BEAT_SECONDS = 0.05


def run_front(
    board: Board, keyring: Keyring, slot: int, control: socket.socket, connections: socket.socket
) -> None:
    """From the first message of the supervisor to the last answer. keyring: as it was read at
    start: whatever the files say later, all processes know the same keys.
    """
    kept = os.dup(control.fileno())  # closed by the end of the process, which so shows
    channel = BlockingChannel(control)
    if slot:  # what all of them would say of their runner alike, the first one says
        logging.getLogger(runners.__name__).setLevel(logging.ERROR)
    with suppress(EOFError, ConnectionError):  # the supervisor is gone
        begin: Begin = channel.receive()
        try:
            runner, opened = open_runner(begin.open, ToldProgress(channel))
        except Exception as error:
            channel.send(failed(error))
            return
        channel.send(opened)
        go: Go = channel.receive()
        front = Front(board, slot, begin, FrontExecutor(runner, opened, begin.served))
        front.watch.stands(go.stand)
        FrontServer(front, keyring, control, connections).run(sockets=[])
    os.close(kept)


class Front:
    """What a front is told and asked."""

    def __init__(self, board: Board, slot: int, begin: Begin, executor: Executor) -> None:
        self.board, self.slot = board, slot
        self.settings, self._path = begin.given, begin.open.path
        self.link = ControlLink(self.told, self.asked, lambda: os._exit(1))
        self.watch: FrontWatch

        def watching(metrics: Any) -> FrontWatch:
            self.watch = FrontWatch(metrics, self.settings.on_violation, begin.key, self.link.tell)
            return self.watch

        database = None
        if self.settings.database is not None:
            from ...experiments.store.database import open_database

            database = open_database(self.settings.database)
        self.inference: Inference = assemble(
            executor, self.settings, self._load, database, watching
        )
        self.drained = False

    def told(self, message: object) -> None:
        """By the supervisor, which waits for no answer."""
        if isinstance(message, Stands):
            self.watch.stands(message.stand)
        elif isinstance(message, Drain):
            self.drained = True

    async def asked(self, message: object) -> Any:
        """By the supervisor. Raises NestlingError."""
        services, experiments = self.inference.services, self.inference.experiments
        if isinstance(message, Snapshot):
            return list(services.service.metrics.registry.collect())
        if isinstance(message, Prepare):
            return cast(FrontExecutor, await services.prepare(message.path)).opened
        if isinstance(message, Commit):
            await services.commit()
        elif isinstance(message, Drop):
            await services.drop()
        elif isinstance(message, Pin):
            await services.pin(message.runners)
        elif isinstance(message, Refresh) and experiments:
            await experiments.refresh()
        return None

    def _load(self, path: Path | None, runner: RunnerName | None) -> Executor:
        by = self.settings if runner is None else self.settings.pinning(runner)
        return FrontExecutor(*open_runner(Open(path or self._path, by), SILENT))


class FrontServer(uvicorn.Server):
    """Answers on the connections that the supervisor hands over."""

    def __init__(
        self,
        front: Front,
        keyring: Keyring,
        control: socket.socket,
        connections: socket.socket,
    ) -> None:
        self._front, self._control, self._handed = front, control, connections
        self._dispatcher = create_front(front.inference, front.settings, keyring)
        settings: Settings = front.settings
        self._texts = TextPaths(text_routes())
        super().__init__(Config(self._dispatcher, settings, settings.shutdown_timeout, self))
        counted = _Counted(front)
        self.server_state.connections = counted  # type: ignore[assignment]  # as uvicorn uses it
        self._lost = counted.lost
        self._tasks: set[asyncio.Task[None]] = set()

    def answers(self, head: Head) -> bool:
        """Whether the supervisor answers a request."""
        return not self._texts.has(head)

    def take(self, connection: socket.socket, begun: bytes) -> None:
        """Give a connection back to it."""
        self._handing.hand(connection, begun)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        front = self._front
        await front.link.over(self._control)
        self._handing = Handing(self._handed, self._accept, self._lost)
        settle()
        beating = asyncio.create_task(self._beat())
        self._tasks.add(beating)
        self._tell_board()  # or it would be silent until its first turn
        front.link.tell(Ready())

    async def on_tick(self, counter: int) -> bool:
        self.should_exit = self.should_exit or self._front.drained
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._dispatcher.app.state.draining = True
        while self._handing.receive():  # what was handed over before it was told to end
            pass
        while pending := [task for task in self._tasks if task.get_name() == ACCEPT]:
            await asyncio.wait(pending)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the supervisor's."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # asyncio's own runner takes it otherwise
        yield

    def _accept(self, connection: socket.socket, begun: bytes) -> None:
        task = asyncio.create_task(self._connect(connection, begun), name=ACCEPT)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: socket.socket, begun: bytes) -> None:
        if not await connect(self, connection, begun):
            self._lost()

    async def _beat(self) -> None:
        while True:
            self._tell_board()
            await asyncio.sleep(BEAT_SECONDS)

    def _tell_board(self) -> None:
        front = self._front
        front.board.beat(front.slot, front.inference.services.service.ready)


ACCEPT = "accept"


class _Counted(MutableSet[Any]):
    """The open connections, and on the board how many have ended."""

    def __init__(self, front: Front) -> None:
        self._front, self._ended = front, 0
        self._open: set[Any] = set()

    def add(self, value: Any) -> None:
        self._open.add(value)

    def discard(self, value: Any) -> None:
        if value in self._open:
            self._open.discard(value)
            self.lost()

    def lost(self) -> None:
        """One has ended."""
        self._ended += 1
        self._front.board.closed(self._front.slot, self._ended)

    def __contains__(self, value: object) -> bool:
        return value in self._open

    def __iter__(self) -> Iterator[Any]:
        return iter(self._open)

    def __len__(self) -> int:
        return len(self._open)
