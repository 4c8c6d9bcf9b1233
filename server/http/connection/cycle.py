"""One request and its answer, as ASGI sees them, and by the shorter way of `Wire`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from http.client import responses
from typing import Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from ...errors import RequestError, internal_error
from .outlet import Outlet
from .refusal import RefusalError

Headers = Sequence[tuple[bytes, bytes]]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS_LINES = {
    status: f"HTTP/1.1 {status} {responses.get(status, '')}\r\n".encode()
    for status in range(200, 600)
}
UNSENDABLE = re.compile(rb"[\x00\r\n]")
"""In a header: it would end there, and what follows would be another."""
BODILESS = (204, 304)
log = logging.getLogger(__name__)


class Line(Protocol):
    """What a request needs of its connection."""

    out: Outlet

    @property
    def last(self) -> bool:
        """Whether no request follows on it."""

    def resume_reading(self) -> None:
        """More of the body is wanted."""

    def stamp(self) -> Headers:
        """What every answer has: the date."""

    def render(self, path: str, error: RequestError) -> Response:
        """What is answered when no route does."""

    def ended(self, cycle: RequestCycle) -> None:
        """The answer is complete."""


class RequestCycle:
    """From a request's head to the end of its answer.

    more_body: not all of the body has come. started, complete: some, and all, of the answer is
    written. gone: there is nobody to read it.
    """

    def __init__(self, line: Line, scope: Scope, keep_alive: bool, awaited: bool) -> None:
        self.scope, self.keep_alive, self.awaited = scope, keep_alive, awaited
        self.body = bytearray()
        self.more_body = True
        self.complete = self.gone = False
        self._line, self._out, self._method = line, line.out, scope["method"]
        self.started = self._chunked = False
        self._left: int | None = None
        self._failure: RefusalError | None = None
        self._leave: Callable[[], None] | None = None
        self._news = asyncio.Event()

    @property
    def streams(self) -> bool:
        """Whether an answer is under way whose end nobody knows."""
        return self.started and self._left is None and not self.complete

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
                response = self._line.render(path, failure)
                await self.reply(response.status_code, response.raw_headers, bytes(response.body))

    def take(self, piece: bytes | bytearray, more: bool) -> None:
        """More of the body has come; perhaps more will."""
        if not self.complete:  # else nobody wants it
            self.body += piece
        self.awaited = False
        self.more_body = more
        self._news.set()

    def fail(self, failure: RefusalError) -> None:
        """The rest of the body will not come: who reads it is told why."""
        self._failure, self.keep_alive = failure, False
        self._news.set()

    def lose(self) -> None:
        """The client has gone."""
        self.gone = True
        self._news.set()
        if self._leave:
            self._leave()

    async def receive(self) -> Message:
        """ASGI's."""
        if not (self.complete or self.gone):
            if self.awaited:
                self._out.write(CONTINUE)
                self.awaited = False
            self._line.resume_reading()
            await self._news.wait()
            self._news.clear()
        if self._failure and not self.complete:
            raise self._failure
        if self.complete or self.gone:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

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

    def take_body(self) -> bytes | bytearray | None:
        """As `Wire` says."""
        if self.more_body or self._failure:
            return None
        body, self.body = self.body, bytearray()
        return body

    def when_gone(self, leave: Callable[[], None] | None) -> None:
        """As `Wire` says."""
        self._leave = leave
        if leave and self.gone:
            leave()

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """As `Wire` says."""
        if self._out.full:
            await self._out.drained()
        if self.gone:
            return
        self.started = True
        head = self._head(status, headers)
        self._out.begin(head if self._method == "HEAD" else head + body)
        self._end()

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self.started:
            raise RuntimeError("an answer began twice")
        if any(UNSENDABLE.search(part) for header in headers for part in header):
            raise RuntimeError("a header of an answer has a line end in it")
        self.started = True
        named = {name.lower(): value for name, value in headers}
        if b"content-length" in named:
            self._left = int(named[b"content-length"])
        elif status not in BODILESS and self.scope["http_version"] == "1.1":
            self._chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        elif status not in BODILESS:
            self.keep_alive = False  # its end is the end of the connection
        self._out.begin(self._head(status, headers))
        if self._method == "HEAD":
            self._end()

    def _continue(self, body: bytes, more: bool) -> None:
        if not self.started:
            raise RuntimeError("an answer has no beginning")
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("an answer is not as long as its Content-Length")
        elif self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = chunk if more else chunk + b"0\r\n\r\n"
        self._out.write(body)
        if not more:
            self._end()

    def _head(self, status: int, headers: Headers) -> bytes:
        if self._line.last or self.awaited:
            # A client that was never told to send its body may send it or not: who could tell what
            # its next bytes are?
            self.keep_alive = False
        said = any(name == b"connection" and b"close" in value.lower() for name, value in headers)
        if said:
            self.keep_alive = False
        close = [] if self.keep_alive or said else [(b"connection", b"close")]
        return render_head(status, [*self._line.stamp(), *headers, *close])

    def _end(self) -> None:
        self.complete = True
        self.body = bytearray()
        self._news.set()
        self._line.ended(self)


def render_head(status: int, headers: Headers) -> bytes:
    """Status line and headers of an answer. headers: in lower case, and checked."""
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join((STATUS_LINES[status], *lines, b"\r\n"))
