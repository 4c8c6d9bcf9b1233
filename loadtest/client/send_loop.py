"""An event loop that sends requests at given moments and receives answers as they come.

It is not asyncio's: the timers of asyncio and of uvloop count whole milliseconds, by which every
latency would be too long, and asyncio with precise timers takes no less CPU time
(`benchmarks/loadtest/client.py`). `select` waits to the microsecond; the sockets themselves wait in
epoll or kqueue, of whose handle `select` is told.
"""

from __future__ import annotations

import heapq
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from .connection import Connection, Exchange, Failure
from .target import Target


class Waker(Protocol):
    """Something that is called when a socket is ready, as a Connection is."""

    def ready(self, events: int) -> None: ...


class SendLoop:
    """Sends over at most `limit` connections. A request that finds none free waits, and the time
    counts as latency.

    timeout: seconds after which a request is given up, from the moment at which it was due.
    """

    def __init__(self, target: Target, limit: int, timeout: float) -> None:
        self._target, self._limit, self._timeout = target, limit, timeout
        self._selector = selectors.DefaultSelector()
        self._handle = [self._selector.fileno()]
        self._free: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiting: deque[Exchange] = deque()
        self._by_due: deque[Exchange] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    @property
    def busy(self) -> bool:
        """Whether any request is still under way."""
        while self._by_due and self._by_due[0].over:
            self._by_due.popleft()
        return bool(self._by_due)

    def submit(self, exchange: Exchange) -> None:
        """Send a request, or let it wait until a connection is free."""
        self._by_due.append(exchange)
        self._send(exchange)

    def submit_apart(self, exchange: Exchange, payload: bytes) -> Connection:
        """Send these bytes in place of the exchange's own, on a new connection."""
        self._by_due.append(exchange)
        connection = self._connect()
        exchange.payload = payload
        connection.ask(exchange)
        return connection

    def watch(self, channel: socket.socket, waker: Waker) -> None:
        """Call a waker too, whenever its socket can be read from."""
        self._selector.register(channel, selectors.EVENT_READ, waker)

    def at(self, moment: float, call: Callable[[], None]) -> None:
        """Call a function at a moment, on the clock of `time.monotonic`."""
        heapq.heappush(self._timers, (moment, next(self._numbers), call))

    def step(self, until: float) -> None:
        """Handle what happens; wait for it until that moment at most."""
        now = time.monotonic()
        if self._timers:
            until = min(until, self._timers[0][0])
        if self.busy:
            until = min(until, self._by_due[0].due + self._timeout)
        select.select(self._handle, (), (), max(0.0, until - now))
        for key, events in self._selector.select(0):
            key.data.ready(events)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        while self.busy and self._by_due[0].due + self._timeout <= now:
            self._give_up(self._by_due.popleft())

    def open(self, connections: int) -> None:
        """Open connections beforehand. A failure is left to the first request."""
        for _ in range(min(connections, self._limit) - len(self._open)):
            self._connect()
        deadline = time.monotonic() + 5
        while len(self._free) < len(self._open) and time.monotonic() < deadline:
            self.step(deadline)

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._open):
            connection.close(Failure.LEFT)
        self._selector.close()

    def _send(self, exchange: Exchange) -> None:
        if self._free:
            self._free.pop().ask(exchange)
        elif len(self._open) < self._limit:
            self._connect().ask(exchange)
        else:
            self._waiting.append(exchange)

    def _connect(self) -> Connection:
        connection = Connection(self._target, self._selector, self._idle, self._lost)
        self._open.add(connection)
        return connection

    def _idle(self, connection: Connection) -> None:
        while self._waiting:
            if not (exchange := self._waiting.popleft()).over:
                connection.ask(exchange)
                return
        self._free.append(connection)

    def _lost(self, connection: Connection, again: Exchange | None) -> None:
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if again and not again.over:
            self._send(again)
        elif len(self._open) < self._limit:
            while self._waiting:
                if not (exchange := self._waiting.popleft()).over:
                    self._connect().ask(exchange)
                    return

    def _give_up(self, exchange: Exchange) -> None:
        if exchange.connection and exchange.connection.exchange is exchange:
            exchange.connection.close(Failure.TIMEOUT)
        exchange.finish(Failure.TIMEOUT, {}, b"")
