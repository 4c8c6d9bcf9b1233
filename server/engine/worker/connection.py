"""The server's end of the socket once both have said hello: on the event loop, without a wait."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any, cast

from ..executor import ExecutorGoneError
from .channel import FrameDecoder, packed
from .messages import Failed


class WorkerConnection(asyncio.Protocol):
    """Requests out, answers in; the worker answers in the order in which it is asked."""

    def __init__(self) -> None:
        self._inbox = FrameDecoder()
        self._asked: deque[asyncio.Future[Any]] = deque()
        self.gone = False
        """Noticed on the socket, before the operating system says so of the process."""

    @classmethod
    async def over(cls, end: socket.socket) -> WorkerConnection:
        """Take over a socket, which is the running loop's from now on."""
        _, link = await asyncio.get_running_loop().create_unix_connection(cls, sock=end)
        return link

    def ask(self, request: object) -> asyncio.Future[Any]:
        """Its answer, or the exception of a failed one, or BackendGoneError."""
        answer = asyncio.get_running_loop().create_future()
        if self.gone:
            answer.set_exception(ExecutorGoneError("the worker has ended"))
        else:
            self._asked.append(answer)
            self._transport.write(packed(request))
        return answer

    def close(self) -> None:
        """The worker notices."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._inbox.put(data)
        for answer in self._inbox:
            asked = self._asked.popleft()
            if asked.done():  # nobody waits for it any more
                continue
            if isinstance(answer, Failed):
                asked.set_exception(answer.exception())
            else:
                asked.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        while self._asked:
            asked = self._asked.popleft()
            if not asked.done():
                asked.set_exception(ExecutorGoneError("the worker has ended"))
