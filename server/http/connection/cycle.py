"""One request and its answer, as ASGI sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from http.client import responses
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Scope
from uvicorn.server import ServerState

from ...errors import internal_error
from ..departure import CONNECTION
from ..dispatcher import RequestDispatcher
from .body import Chunked
from .head import Head
from .outlet import Outlet
from .refusal import RefusalError

Headers = Sequence[tuple[bytes, bytes]]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS_LINES = {
    status: f"HTTP/1.1 {status} {responses.get(status, '')}".encode() for status in range(200, 600)
}
BODILESS = (204, 304)
log = logging.getLogger(__name__)


class Line(Protocol):
    """What a request needs of its connection.

    server: the headers that every answer has, such as the date. ends, app_state: for ASGI's scope.
    buffer: what has come and is not read. eof: nothing more will come. dispatcher: says what is
    answered when no route does.
    """

    dispatcher: RequestDispatcher
    out: Outlet
    server: ServerState
    ends: dict[str, Any]
    app_state: dict[str, Any]
    buffer: bytearray
    eof: bool

    def resume_reading(self) -> None:
        """More of the body is wanted."""

    def ended(self, cycle: RequestCycle) -> None:
        """The answer is complete."""


class RequestCycle:
    """From a request's head to the end of its answer.

    more_body: not all of the body has come. started, complete: some, and all, of the answer is
    written. gone: there is nobody to read it. failure: why the rest of the body will not come.
    """

    def __init__(self, line: Line, head: Head) -> None:
        self._line, self._out, self._method = line, line.out, head.method
        self.scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            **line.ends,
            "scheme": "http",
            "root_path": "",
            "method": head.method,
            "path": head.path,
            "raw_path": head.target,
            "query_string": head.query,
            "headers": head.fields.copy(),  # for whoever changes them
            "state": line.app_state.copy(),
            CONNECTION: self,
        }
        self.keep_alive = head.keep_alive
        self.body = bytearray()
        self._unread, self._chunks = head.length or 0, Chunked() if head.length is None else None
        self.more_body = head.length != 0
        self.awaited = head.awaited and self.more_body
        self.complete = self.gone = False
        self.started = self._chunked = False
        self._unsent: int | None = None
        self._waiting = b""
        self.failure: RefusalError | None = None
        self.leave: Callable[[], None] | None = None
        self._news = not self.more_body
        self._reader: asyncio.Event | None = None
        """Set when there is news; there is one once somebody waits, and hardly anybody does."""

    @property
    def streams(self) -> bool:
        """Whether an answer is under way whose end nobody knows."""
        return self.started and self._unsent is None and not self.complete

    async def run(self, app: ASGIApp) -> None:
        """Have it answered, whatever goes wrong."""
        path = self.scope["path"]
        try:
            await app(self.scope, self.receive, self.send)
            if not self.complete and not self.gone:
                raise RuntimeError("its answer was never completed")
        except asyncio.CancelledError:
            self._out.abort()
            raise
        except Exception as error:
            if self.started or self.gone:
                log.exception("%s failed, though not before its answer had begun", path)
                if not self.complete:
                    self._out.abort()
            else:
                self.keep_alive = False
                failure = error if isinstance(error, RefusalError) else internal_error(path)
                response = self._line.dispatcher.refuse(path, failure)
                await response(self.scope, self.receive, self.send)

    def read(self, buffer: bytearray) -> None:
        """Take from what has come what belongs to the body. Raises RefusalError."""
        if self._chunks:
            piece: bytes | bytearray = self._chunks.take(buffer)
            self.more_body = not self._chunks.whole
        else:
            piece = bytes(buffer[: self._unread])
            del buffer[: len(piece)]
            self._unread -= len(piece)
            self.more_body = self._unread > 0
        if not self.complete:  # else nobody wants it
            self.body += piece
        self.awaited = False
        self._tell()

    def fail(self, failure: RefusalError) -> None:
        """The rest of the body will not come: who reads it is told why."""
        self.failure, self.keep_alive = failure, False
        self._tell()

    def lose(self) -> None:
        """The client has gone."""
        self.gone = True
        self._tell()
        if self.leave:
            self.leave()

    def _tell(self) -> None:
        """There is news for whoever reads."""
        self._news = True
        if self._reader:
            self._reader.set()

    def whole_body(self) -> bytearray | None:
        """The body, if all of it has come and nobody has taken any of it; it is taken now."""
        if self.more_body or self.complete or self.gone or self.failure or not self._news:
            return None
        self._news = False
        body, self.body = self.body, bytearray()
        return body

    async def receive(self) -> Message:
        """ASGI's."""
        if not (self.complete or self.gone):
            if self.awaited:
                self._out.write(CONTINUE)
                self.awaited = False
            if self.more_body:
                self._line.resume_reading()
            if not self._news:
                self._reader = self._reader or asyncio.Event()
                self._reader.clear()
                await self._reader.wait()
            self._news = False
        if self.failure and not self.complete:
            raise self.failure
        if self.complete or self.gone:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def give(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """An answer as a whole; whether it is given, which it is not while its client reads too
        slowly.
        """
        if self._out.full:
            return False
        if not self.gone:
            self._start(status, headers)
            if not self.complete:
                self._continue(body, more=False)
        return True

    async def send(self, message: Message) -> None:
        """ASGI's."""
        if self._out.full:
            await self._out.drained()
        if self.gone or (self.complete and self._method == "HEAD"):
            return
        if self.complete:
            raise RuntimeError(f"{message['type']} after the end of an answer")
        if message["type"] == "http.response.start":
            self._start(message["status"], list(message.get("headers", ())))
        elif message["type"] == "http.response.body":
            self._continue(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} is no part of an answer")

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self.started:
            raise RuntimeError("an answer began twice")
        named = dict(headers)
        if length := named.get(b"content-length"):
            self._unsent = int(length)
        elif status not in BODILESS and self.scope["http_version"] == "1.1":
            self._chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        elif status not in BODILESS:
            self.keep_alive = False  # its end is the end of the connection
        closes = b"close" in named.get(b"connection", b"").lower()
        line = self._line
        if closes or self.awaited or (line.eof and not line.buffer):
            # No request follows; and a client that was never told to send its body may send it or
            # not: who could tell what its next bytes are?
            self.keep_alive = False
        if not (self.keep_alive or closes):
            headers.append((b"connection", b"close"))
        head = render_head(status, [*line.server.default_headers, *headers])
        self.started = True
        if self._method == "HEAD":
            self._write_first(head)
            self._end()
        elif self._unsent is None:
            self._write_first(head)
        else:
            self._waiting = head  # for the body, which comes at once

    def _continue(self, body: bytes, more: bool) -> None:
        if not self.started:
            raise RuntimeError("an answer has no beginning")
        if self._unsent is not None:
            self._unsent -= len(body)
            if self._unsent < 0 or (self._unsent and not more):
                raise RuntimeError("an answer is not as long as its Content-Length")
        elif self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = chunk if more else chunk + b"0\r\n\r\n"
        if self._waiting:
            self._write_first(self._waiting + body)
            self._waiting = b""
        else:
            self._out.write(body)
        if not more:
            self._end()

    def _write_first(self, beginning: bytes) -> None:
        if self._out.begun:
            self._out.finish_beginning(beginning)
        else:
            self._out.write(beginning)

    def _end(self) -> None:
        self.complete = True
        self.body = bytearray()
        self._tell()
        self._line.ended(self)


def render_head(status: int, headers: Headers) -> bytes:
    """Status line and headers of an answer. headers: in lower case.

    Raises RuntimeError for a header that would end within itself: what follows would be another.
    """
    head = b"\r\n".join((STATUS_LINES[status], *map(b": ".join, headers), b"", b""))
    if not len(headers) + 2 == head.count(b"\r") == head.count(b"\n") or b"\x00" in head:
        raise RuntimeError("a header of an answer has a line end in it")
    return head
