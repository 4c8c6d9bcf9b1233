"""One front, as the supervisor has it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from ...models.progress import SILENT, Progress
from ..engine.executor import ExecutorGoneError
from ..engine.worker.channel import BlockingChannel
from ..engine.worker.messages import Failed, Opened, Opening
from .board import Board
from .forking import Forker
from .handing import Handing
from .link import ControlLink
from .messages import Begin, Go, Ready, Stand

SILENT_SECONDS = 1.0
"""After so long without a beat a front gets no new connections, as it does not read them."""


class FrontProcess:
    """One front, from its fork to its end."""

    def __init__(self, slot: int, forker: Forker, board: Board, begin: Begin) -> None:
        """Begins it; it loads what it is told to."""
        self.slot, self._forker, self._board = slot, forker, board
        self.since = monotonic()  # that it answers; before, that it began
        self.ready = False
        self.link: ControlLink | None = None
        self.handing: Handing | None = None
        self._given = 0
        self._status: int | None = None
        self._closed = False
        self._control, theirs = socket.socketpair()
        self._connections, others = Handing.pair()
        board.clear(slot)
        with theirs, others:
            try:
                self.pid = forker.fork(slot, theirs, others)
            except BaseException:
                self._control.close()
                self._connections.close()
                raise
        self._channel = BlockingChannel(self._control)
        self._channel.send(begin)

    def opened(self, progress: Progress = SILENT) -> Opened:
        """Wait until it has loaded. Raises NestlingError for what the user can fix,
        ExecutorGoneError if it has ended.
        """
        try:
            said: Opened | Failed | Opening = self._channel.receive()
            while isinstance(said, Opening):
                progress.step(said.phase, said.done, said.total)
                said = self._channel.receive()
        except (EOFError, OSError) as error:
            raise ExecutorGoneError("a process ended while it was loading") from error
        if isinstance(said, Failed):
            raise said.exception()
        return said

    async def attach(
        self,
        stand: Stand,
        told: Callable[[Any], None],
        lost: Callable[[], None],
        take: Callable[[socket.socket, bytes], None],
    ) -> None:
        """Have it answer, and return once it does. Raises ExecutorGoneError if it has ended."""
        answers = asyncio.get_running_loop().create_future()

        def hear(message: object) -> None:
            if not isinstance(message, Ready):
                told(message)
            elif not answers.done():
                answers.set_result(None)

        def gone() -> None:
            self.ready = False
            if answers.done():
                lost()
            else:
                answers.set_exception(ExecutorGoneError("a process ended before it answered"))

        self._channel.send(Go(stand))
        self.link = ControlLink(hear, _nothing, gone)
        await self.link.over(self._control)
        self.handing = Handing(self._connections, take)
        await answers
        self.since = monotonic()
        self.ready = True

    @property
    def well(self) -> bool:
        """Whether it answers texts that come now."""
        return self.answers and self.silent < SILENT_SECONDS

    @property
    def answers(self) -> bool:
        """Whether it said so when its event loop last ran."""
        return self.ready and self._board.ready(self.slot)

    @property
    def open(self) -> int:
        """Its connections."""
        return self._given - self._board.ended(self.slot)

    @property
    def silent(self) -> float:
        """Seconds since its event loop last ran."""
        return self._board.silent(self.slot)

    def give(self, connection: socket.socket, begun: bytes) -> None:
        """Have it answer on a connection."""
        assert self.handing
        self._given += 1
        self.handing.hand(connection, begun)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kill it unless it has ended; its status. Waits for milliseconds: not on the loop."""
        if self._status is None:
            self._status = self._forker.end(self.pid)
        return self._status

    def close(self) -> None:
        """Close what leads to it, once."""
        self.ready = False
        if self._closed:
            return
        self._closed = True
        if self.handing:
            self.handing.close()
        else:
            self._connections.close()
        if self.link:
            self.link.close()
        else:
            self._control.close()


async def _nothing(_: object) -> None:
    """A front asks nothing."""
