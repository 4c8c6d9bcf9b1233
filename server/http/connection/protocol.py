"""A connection: one request after the other, each within its times and its limits.

Nothing is parsed ahead. What has come behind a request waits as bytes until its answer has gone,
and where much waits the socket is not read: however many requests a client sends, one of them is
worked on, and what it does not read of the answers it waits for.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, TimerHandle, Transport
from functools import partial
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from ...errors import Refusal
from ...settings import Settings
from ..dispatcher import RequestDispatcher
from .cycle import RequestCycle, render_head
from .elsewhere import Elsewhere, move
from .head import HeadReader
from .outlet import Outlet
from .part import Part, times
from .refusal import RefusalError, incomplete, late

AHEAD_BYTES = 64 * 1024
"""That may wait, of a body or behind a request, while the socket is read on: only who reads learns
that a client has gone."""
LINGER_BYTES = 1024 * 1024
"""That are read, and dropped, behind a refusal: who closes a socket with bytes in it that nobody
has read takes back what it has sent."""


class HttpConnection(asyncio.Protocol):
    """HTTP/1.1 on one connection, as uvicorn's server wants a protocol.

    A request that is there at once, as nearly all are, costs no timer: the one that there is sleeps
    again if it wakes too early, and only a deadline before that needs another. Who is late gets 408
    in the form of its protocol, and the connection is closed.
    """

    def __init__(
        self,
        dispatcher: RequestDispatcher,
        settings: Settings,
        elsewhere: Elsewhere | None = None,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        begun: bytes = b"",
    ) -> None:
        """config, and what follows it: what uvicorn says to every protocol. begun: what another
        process has read of the connection."""
        del config
        self.dispatcher, self._settings, self._elsewhere = dispatcher, settings, elsewhere
        self.server, self.app_state = server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self.buffer = bytearray(begun)
        self._head: HeadReader | None = None
        self._cycle: RequestCycle | None = None
        self._paused = self.eof = False
        self._linger, self._due = 0, 0.0
        self._part: Part | None = None
        self._seconds = times(settings)
        self._timer: TimerHandle | None = None

    # What asyncio calls

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # a socket's
        self._transport = transport
        unread = partial(self.dispatcher.count, Refusal.WRITE_TIMEOUT)
        self.out = Outlet(transport, self._settings.write_timeout, unread)
        self.ends = {
            "server": transport.get_extra_info("sockname")[:2],
            "client": (transport.get_extra_info("peername") or ("", 0))[:2],  # None after a reset
        }
        self.server.connections.add(self)  # type: ignore[arg-type]  # which protocols, uvicorn lists
        self._wait(Part.HEADERS)
        if self.buffer:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self._part = None
        if self._timer:  # the two would hold each other in memory
            self._timer.cancel()
            self._timer = None
        self.out.lose()
        if self._cycle:
            self._cycle.lose()
        self._cycle = self._head = None
        self.buffer.clear()

    def data_received(self, data: bytes) -> None:
        if self._part is Part.END:
            self._linger -= len(data)
            if self._linger < 0:
                self._transport.abort()
            return
        self.buffer += data
        self._read()

    def eof_received(self) -> bool:
        """Whoever will send nothing more may still read: the answers go out before the end.

        Only a stream, which has none, ends here: there is nobody but those who have left it.
        """
        self.eof = True
        if self._cycle is None:
            if self._head and self._head.begun:
                self._refuse(incomplete())
            else:
                self._close()
        elif self._cycle.more_body:
            self._fail(incomplete())
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

    def resume_reading(self) -> None:
        """More of a body is wanted."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def ended(self, cycle: RequestCycle) -> None:
        """The answer is complete; of the body, what has not come is read and dropped."""
        self.server.total_requests += 1
        if not cycle.keep_alive:
            self._end(clean=self.eof or not (cycle.more_body or self.buffer or self._paused))
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
            elif self._cycle.failure:
                self.buffer.clear()  # nobody knows what this is
            elif self._cycle.more_body:
                self._cycle.read(self.buffer)
                self._wait_for_body(self._cycle)
        except RefusalError as refused:
            if self._cycle is None:
                self._refuse(refused)
            else:
                self._fail(refused)
        if len(self.buffer) >= AHEAD_BYTES:
            self._pause()

    def _read_head(self) -> None:
        reader = self._head or HeadReader()
        self._head = reader
        head = reader.read(self.buffer)
        if head is None:
            self._wait(Part.HEADERS)
            return
        self._head = self._part = None
        if self._elsewhere and self._elsewhere.answers(head):
            self._leave(self._elsewhere, reader.lines)
            return
        cycle = self._cycle = RequestCycle(self, head)
        task = self._loop.create_task(cycle.run(self.dispatcher))
        self.server.tasks.add(task)
        task.add_done_callback(self.server.tasks.discard)
        if cycle.more_body and self.buffer:
            cycle.read(self.buffer)
        if cycle.more_body:
            self._wait_for_body(cycle)

    def _leave(self, elsewhere: Elsewhere, lines: bytes) -> None:
        """lines: the head of the request that is answered there."""
        self._pause()
        take = partial(elsewhere.take, begun=lines + self.buffer)
        self.buffer.clear()
        move(self._loop, self._transport, take, self._settings.write_timeout)

    def _wait_for_body(self, cycle: RequestCycle) -> None:
        """Wait for what is missing of a body, if anything is."""
        if cycle.more_body:
            self._wait(Part.BODY)
            if len(cycle.body) > AHEAD_BYTES:
                self._pause()
            return
        self._part = None
        if cycle.complete:
            self._next()

    def _next(self) -> None:
        """A request and its answer are complete: to what has come behind it."""
        self._cycle = None
        self._wait(Part.REQUEST)
        if self.buffer:
            self._read()
        if len(self.buffer) < AHEAD_BYTES:
            self.resume_reading()
        unread = self._cycle is None or self._cycle.more_body
        if self.eof and unread and self._part is not Part.END:
            self.eof_received()

    def _pause(self) -> None:
        if not (self._paused or self.eof):
            self._paused = True
            self._transport.pause_reading()

    def _wait(self, part: Part) -> None:
        """Wait for a part from now on. Its time runs from the first time that it is said."""
        if part is self._part:
            return
        self._part, self._due = part, self._loop.time() + self._seconds[part]
        if self._timer is None or self._timer.when() > self._due:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._wake)

    def _wake(self) -> None:
        self._timer, part = None, self._part
        if part is None:
            return
        if self._loop.time() < self._due:
            self._set_timer()
            return
        self._part = None
        if part is Part.BODY and self._paused:
            self._wait(part)  # it is the server that does not read on
        elif part is Part.BODY:
            self._fail(late(Refusal.BODY_TIMEOUT, "body", self._seconds[part]))
        elif part is Part.HEADERS and self._head and self._head.begun:
            self._refuse(late(Refusal.HEADER_TIMEOUT, "headers", self._seconds[part]))
        else:
            self._close()

    # The end

    def _refuse(self, refused: RefusalError) -> None:
        """Nobody answers a request whose head is not there but the connection itself."""
        path = self._head.path if self._head else "/"
        response = self.dispatcher.refuse(path, refused)
        self.dispatcher.count(refused.refusal)
        stamp = self.server.default_headers
        head = render_head(response.status_code, [*stamp, *response.raw_headers])
        self.out.finish_beginning(head + bytes(response.body))
        self._end(clean=self.eof)

    def _fail(self, refused: RefusalError) -> None:
        """The rest of a body will not come, or cannot be read."""
        self.dispatcher.count(refused.refusal)
        self.buffer.clear()
        self._part = None
        if self._cycle is None or self._cycle.complete:
            self._end(clean=self.eof)
        else:
            self._cycle.fail(refused)

    def _end(self, clean: bool) -> None:
        """Nothing follows what has been written. clean: nothing that was sent is unread."""
        self._cycle = self._head = None
        self.buffer.clear()
        if clean or self._transport.is_closing():
            self._close()
            return
        self._linger = LINGER_BYTES
        self.out.end()
        self.resume_reading()
        self._wait(Part.END)

    def _close(self) -> None:
        self._part = None
        self.out.close()
