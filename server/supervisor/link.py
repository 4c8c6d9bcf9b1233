"""The control channel between the supervisor and a front: messages, and questions with answers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ...models.errors import NestlingError
from ..engine.executor import ExecutorGoneError
from ..engine.worker.channel import FrameDecoder, packed

log = logging.getLogger(__name__)
TOLD, ASKED, ANSWERED, FAILED = range(4)


class ControlLink(asyncio.Protocol):
    """One end of a socket. Belongs to the event loop.

    told: is given what the other end says. asked: answers what it asks; what that raises is raised
    there, as a NestlingError or a RuntimeError. lost: called once the other end has gone.
    """

    def __init__(
        self,
        told: Callable[[Any], None],
        asked: Callable[[Any], Awaitable[Any]],
        lost: Callable[[], None],
    ) -> None:
        self._told, self._asked, self._lost = told, asked, lost
        self._inbox = FrameDecoder()
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0
        self.gone = False

    async def over(self, end: socket.socket) -> None:
        """Take over a socket, which is the running loop's from now on."""
        end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def tell(self, message: object) -> None:
        """Say something; nobody hears it if the other end has gone."""
        if not self.gone:
            self._transport.write(packed((TOLD, 0, message)))

    def ask(self, message: object) -> asyncio.Future[Any]:
        """The answer, or what was raised of it, or ExecutorGoneError."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.gone:
            answer.set_exception(ExecutorGoneError("the process has ended"))
            return answer
        self._number += 1
        self._open[self._number] = answer
        self._transport.write(packed((ASKED, self._number, message)))
        return answer

    def close(self) -> None:
        """The other end notices."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._inbox.put(data)
        for kind, number, message in self._inbox:
            if kind == TOLD:
                self._told(message)
            elif kind == ASKED:
                task = asyncio.create_task(self._answer(number, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                answer = self._open.pop(number)
                if answer.done():  # nobody waits for it any more
                    continue
                if kind == FAILED:
                    answer.set_exception(message)
                else:
                    answer.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(ExecutorGoneError("the process has ended"))
        self._open.clear()
        self._lost()

    async def _answer(self, number: int, message: object) -> None:
        try:
            answer = (ANSWERED, number, await self._asked(message))
        except NestlingError as error:
            answer = (FAILED, number, NestlingError(str(error)))
        except Exception as error:
            log.exception("what the other process asked has failed")
            answer = (FAILED, number, RuntimeError(str(error)))
        if not self.gone:
            self._transport.write(packed(answer))
