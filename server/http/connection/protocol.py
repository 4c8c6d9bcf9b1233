"""A connection: one request after the other, each within its times and its limits.

Nothing is parsed ahead. What has come behind a request waits as bytes until its answer has gone,
and where much waits the socket is not read: however many requests a client sends, one of them is
worked on, and what it does not read of the answers it waits for.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Transport
from functools import partial
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.server import ServerState

from ...errors import RequestError
from ...settings import Settings
from ..dispatcher import RequestDispatcher
from ..wire import WIRE
from .body import BodyReader, Chunked, Sized
from .cycle import Headers, RequestCycle, render_head
from .deadline import Deadline, Part
from .head import Head, HeadReader
from .outlet import Outlet
from .refusal import Refusal, RefusalError

AHEAD_BYTES = 64 * 1024
"""That may wait, of a body or behind a request, while the socket is read on: only who reads learns
that a client has gone."""
LINGER_BYTES = 1024 * 1024
"""That are read, and dropped, behind a refusal: who closes a socket with bytes in it that nobody
has read takes back what it has sent."""


class HttpConnection(asyncio.Protocol):
    """HTTP/1.1 on one connection, as uvicorn's server wants a protocol.

    A request that is there at once, as nearly all are, costs no timer. Who is late gets 408 in the
    form of its protocol, and the connection is closed.
    """

    def __init__(
        self,
        front: RequestDispatcher,
        settings: Settings,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        """config, and what follows it: what uvicorn says to every protocol."""
        del config
        self._front, self._settings = front, settings
        self._server, self._app_state = server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._settings, self._expire)
        self._buffer = bytearray()
        self._head: HeadReader | None = None
        self._cycle: RequestCycle | None = None
        self._body: BodyReader | None = None
        self._paused = self._eof = False
        self._linger = 0

    # What asyncio calls

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # a socket's
        self._transport = transport
        unread = partial(self._front.count, Refusal.WRITE_TIMEOUT)
        self.out = Outlet(transport, self._settings.write_timeout, unread)
        self._ends = {
            "server": transport.get_extra_info("sockname")[:2],
            "client": transport.get_extra_info("peername")[:2],
        }
        self._server.connections.add(self)  # type: ignore[arg-type]  # which protocols, uvicorn lists
        self._deadline.set(Part.HEADERS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._deadline.end()
        self.out.lose()
        if self._cycle:
            self._cycle.lose()
        self._cycle = self._head = None
        self._buffer.clear()

    def data_received(self, data: bytes) -> None:
        if self._deadline.part is Part.END:
            self._linger -= len(data)
            if self._linger < 0:
                self._transport.abort()
            return
        self._buffer += data
        self._read()

    def eof_received(self) -> bool:
        """Whoever will send nothing more may still read: the answers go out before the end.

        Only a stream, which has none, ends here: there is nobody but those who have left it.
        """
        self._eof = True
        if self._cycle is None:
            if self._head and self._head.begun:
                self._refuse(_incomplete())
            else:
                self._close()
        elif self._cycle.more_body:
            self._fail(_incomplete())
        elif self._cycle.streams:
            self._close()
        elif not self._cycle.started:
            self.out.ask_if_there()
        return True

    def pause_writing(self) -> None:
        self.out.fill()

    def resume_writing(self) -> None:
        self.out.drain()

    # What uvicorn's server calls

    def shutdown(self) -> None:
        """Close when the answer that is under way has gone."""
        if self._cycle and not self._cycle.complete:
            self._cycle.keep_alive = False
        else:
            self._close()

    # What a request's cycle calls

    @property
    def last(self) -> bool:
        """Whether no request follows."""
        return self._eof and not self._buffer

    def resume_reading(self) -> None:
        """More of a body is wanted."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def stamp(self) -> Headers:
        """What every answer has: the date."""
        return self._server.default_headers

    def render(self, path: str, error: RequestError) -> Response:
        """What is answered when no route does."""
        return self._front.refuse(path, error)

    def ended(self, cycle: RequestCycle) -> None:
        """The answer is complete; of the body, what has not come is read and dropped."""
        self._server.total_requests += 1
        if not cycle.keep_alive:
            self._end(clean=self._eof or not (cycle.more_body or self._buffer or self._paused))
        elif cycle.more_body:
            self.resume_reading()
        else:
            self._next()

    # Reading

    def _read(self) -> None:
        """Read what is there, to the end of a request at most."""
        try:
            if self._cycle is None:
                self._read_head()
            elif self._body is None:
                self._buffer.clear()  # behind a body that has failed
            elif self._cycle.more_body:
                self._read_body(self._cycle, self._body)
        except RefusalError as refused:
            if self._cycle is None:
                self._refuse(refused)
            else:
                self._fail(refused)
        if len(self._buffer) >= AHEAD_BYTES:
            self._pause()

    def _read_head(self) -> None:
        reader = self._head or HeadReader()
        self._head = reader
        head = reader.read(self._buffer)
        if head is None:
            self._deadline.set(Part.HEADERS)
            return
        self._head = None
        self._deadline.clear()
        body = Chunked() if head.length is None else Sized(head.length)
        scope = self._scope(head)
        awaited = head.awaited and not body.whole
        cycle = scope[WIRE] = RequestCycle(self, scope, head.keep_alive, awaited)
        self._cycle, self._body = cycle, body
        task = self._loop.create_task(cycle.run(self._front))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        self._read_body(cycle, body)

    def _read_body(self, cycle: RequestCycle, body: BodyReader) -> None:
        if body.whole or self._buffer:
            cycle.take(body.take(self._buffer), more=not body.whole)
        if body.whole:
            self._deadline.clear()
            if cycle.complete:
                self._next()
            return
        self._deadline.set(Part.BODY)
        if len(cycle.body) > AHEAD_BYTES:
            self._pause()

    def _scope(self, head: Head) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            **self._ends,
            "scheme": "http",
            "root_path": "",
            "method": head.method,
            "path": head.path,
            "raw_path": head.target,
            "query_string": head.query,
            "headers": head.fields,
            "state": self._app_state.copy(),
        }

    def _next(self) -> None:
        """A request and its answer are complete: to what has come behind it."""
        self._cycle = self._body = None
        self._deadline.set(Part.REQUEST)
        if self._buffer:
            self._read()
        if len(self._buffer) < AHEAD_BYTES:
            self.resume_reading()
        incomplete = self._cycle is None or self._cycle.more_body
        if self._eof and incomplete and self._deadline.part is not Part.END:
            self.eof_received()

    def _pause(self) -> None:
        if not (self._paused or self._eof):
            self._paused = True
            self._transport.pause_reading()

    # Times

    def _expire(self, part: Part) -> None:
        if part is Part.BODY and self._paused:
            self._deadline.set(part)  # it is the server that does not read on
        elif part is Part.BODY:
            self._fail(self._deadline.error(part))
        elif part is Part.HEADERS and self._head and self._head.begun:
            self._refuse(self._deadline.error(part))
        else:
            self._close()

    # The end

    def _refuse(self, refused: RefusalError) -> None:
        """Nobody answers a request whose head is not there but the connection itself."""
        path = self._head.path if self._head else "/"
        response = self.render(path, refused)
        self._front.count(refused.refusal)
        head = render_head(response.status_code, [*self.stamp(), *response.raw_headers])
        self.out.begin(head + bytes(response.body))
        self._end(clean=self._eof)

    def _fail(self, refused: RefusalError) -> None:
        """The rest of a body will not come, or cannot be read."""
        self._front.count(refused.refusal)
        self._body = None
        self._buffer.clear()
        self._deadline.clear()
        if self._cycle is None or self._cycle.complete:
            self._end(clean=self._eof)
        else:
            self._cycle.fail(refused)

    def _end(self, clean: bool) -> None:
        """Nothing follows what has been written. clean: nothing that was sent is unread."""
        self._cycle = self._body = self._head = None
        self._buffer.clear()
        if clean or self._transport.is_closing():
            self._close()
            return
        self._linger = LINGER_BYTES
        self.out.end()
        self.resume_reading()
        self._deadline.set(Part.END)

    def _close(self) -> None:
        self._deadline.clear()
        self.out.close()


def _incomplete() -> RefusalError:
    return RefusalError(Refusal.INCOMPLETE, "the connection was ended within the request")
