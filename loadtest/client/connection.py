"""HTTP/1.1 on one socket, kept alive, one exchange at a time."""

from __future__ import annotations

import errno
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import httptools

from .protocols import Headers
from .target import Target

RECEIVE = 65536
OK = 200
PREFIX = b"x-nestling-"


class Failure(IntEnum):
    """Why there is no HTTP status. The values are below 0, so that they can stand for a status."""

    TIMEOUT = -1
    REFUSED = -2
    DISCONNECTED = -3
    UNREADABLE = -4
    LEFT = -5
    """The client itself went away: a fault that the load asked for."""


class Exchange:
    """A request under way.

    number: by which its sender knows it. due: the moment at which it was to be sent, on the clock
    of `time.monotonic`. done: is called once, with the status or a Failure, the headers that begin
    with PREFIX, and the body.
    """

    __slots__ = ("connection", "done", "due", "number", "over", "payload")

    def __init__(
        self,
        number: int,
        payload: bytes,
        due: float,
        done: Callable[[Exchange, int, Headers, bytes], None],
    ) -> None:
        self.number = number
        self.payload = payload
        self.due = due
        self.done = done
        self.over = False
        self.connection: Connection | None = None

    def finish(self, status: int, headers: Headers, body: bytes) -> None:
        """Call `done`, unless it has been called."""
        if not self.over:
            self.over = True
            self.done(self, status, headers, body)


class Connection:
    """A socket, and the exchange that it carries.

    idle: is called when the connection can take another exchange. lost: is called when it closes.
    It is given the exchange that should be sent again, if there is one: a server may close a
    connection that it has kept alive at the very moment at which the next request is sent.
    """

    def __init__(
        self,
        target: Target,
        selector: selectors.BaseSelector,
        idle: Callable[[Connection], None],
        lost: Callable[[Connection, Exchange | None], None],
    ) -> None:
        self.exchange: Exchange | None = None
        self._selector = selector
        self._idle, self._lost = idle, lost
        self._used = self._connected = self._closed = False
        self._outgoing = b""
        self._fresh_parser()
        self._socket = socket.socket(target.family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self._socket.connect_ex(target.address)
        self._events = selectors.EVENT_WRITE
        selector.register(self._socket, self._events, self)
        self._failed = code not in (0, errno.EINPROGRESS)

    def ask(self, exchange: Exchange) -> None:
        """Send the request, as soon as the connection is established."""
        self.exchange = exchange
        exchange.connection = self
        self.write(exchange.payload)

    def write(self, data: bytes) -> None:
        """Send some or all bytes of a request."""
        if self._closed:
            return
        if not self._connected or self._outgoing:
            self._outgoing += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close(Failure.DISCONNECTED)
            return
        if sent < len(data):
            self._outgoing = data[sent:]
            self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)

    def ready(self, events: int) -> None:
        """The socket can be written to or read from."""
        if events & selectors.EVENT_WRITE and not self._closed:
            self._writable()
        if events & selectors.EVENT_READ and not self._closed:
            self._readable()

    def close(self, why: Failure) -> None:
        """Close the connection, and give up what is under way."""
        if self._closed:
            return
        self._closed = True
        self._selector.unregister(self._socket)
        self._socket.close()
        exchange, self.exchange = self.exchange, None
        again = why is Failure.DISCONNECTED and self._used and not self._begun
        self._lost(self, exchange if again else None)
        if exchange and not again:
            exchange.finish(why, {}, b"")

    def _writable(self) -> None:
        if not self._connected:
            if self._failed or self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.close(Failure.REFUSED)
                return
            self._connected = True
            if self.exchange is None and not self._outgoing:
                self._watch(selectors.EVENT_READ)
                self._idle(self)
                return
        self._watch(selectors.EVENT_READ)
        data, self._outgoing = self._outgoing, b""
        if data:
            self.write(data)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(Failure.DISCONNECTED)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close(Failure.UNREADABLE)
            return
        if self._complete:
            self._answered()

    def _answered(self) -> None:
        exchange, self.exchange = self.exchange, None
        status, headers, body = self._parser.get_status_code(), self._headers, self._body
        keep = self._keep
        self._used = True
        self._fresh_parser()
        if exchange is None:  # an answer that nobody asked for, such as 408 on an idle connection
            self.close(Failure.DISCONNECTED)
            return
        exchange.finish(status, headers, body)
        if keep:
            self._idle(self)
        else:
            self.close(Failure.DISCONNECTED)

    def _fresh_parser(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._headers: Headers = {}
        self._body = b""
        self._begun = self._complete = self._keep = False

    def _watch(self, events: int) -> None:
        if events != self._events and not self._closed:
            self._events = events
            with suppress(KeyError):
                self._selector.modify(self._socket, events, self)

    # The parser calls these.

    def on_message_begin(self) -> None:
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower.startswith(PREFIX):
            self._headers[lower] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._complete = True
        self._keep = self._parser.should_keep_alive()  # the parser forgets it afterwards
