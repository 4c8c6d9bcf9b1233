"""The load test's client on asyncio, as far as a measurement needs it: no faults, no timeouts.

It exists for `benchmarks.loadtest.client` alone: the product has one client.
"""

from __future__ import annotations

import asyncio
import gc
import select
import selectors
import time
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools
import numpy as np

from nestling.loadtest.client.protocols import Protocol
from nestling.loadtest.client.target import Target


class PreciseSelector(selectors.DefaultSelector):
    """Waits to the microsecond: asyncio's own waits count whole milliseconds, as epoll's do."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            select.select([self.fileno()], (), (), timeout)
        return super().select(0)


def precise_loop() -> asyncio.AbstractEventLoop:
    """asyncio's own, with timers as precise as the product's."""
    return asyncio.SelectorEventLoop(PreciseSelector())


class ClientConnection(asyncio.Protocol):
    """One exchange at a time. done: called with the connection, a request's number, and a body."""

    def __init__(self, done: Callable[[ClientConnection, int, bytes], None]) -> None:
        self._done = done
        self._number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._fresh_parser()

    def ask(self, number: int, payload: bytes) -> None:
        """Send a request."""
        self._number = number
        self._transport.write(payload)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if self._complete:
            if self._parser.get_status_code() != 200:
                raise RuntimeError(f"status {self._parser.get_status_code()}")
            body = self._body
            self._fresh_parser()
            self._done(self, self._number, body)

    def _fresh_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body, self._complete = b"", False

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower.startswith(b"x-nestling-"):
            self._headers[lower] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._complete = True


class AsyncioLoad:
    """Sends one payload at each moment due. due: seconds from the start, float64, ascending."""

    def __init__(self, payload: bytes, due: np.ndarray, protocol: Protocol) -> None:
        self._payload, self._due = payload, due.tolist()
        self._read = protocol.reader()
        self._next, self._left = 0, len(due)
        self._free: list[ClientConnection] = []
        self._waiting: deque[int] = deque()
        self.latency = np.zeros(len(due), np.float32)
        self.lag = np.zeros(len(due), np.float32)
        self.cpu_seconds = 0.0

    async def run(self, target: Target, connections: int) -> None:
        """Return when the last answer has come."""
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        host, port = target.address[:2]
        for _ in range(connections):
            _, connection = await self._loop.create_connection(
                lambda: ClientConnection(self._answered), host, port
            )
            self._free.append(connection)
        gc.collect()
        gc.disable()
        cpu = time.process_time()
        self._start = time.monotonic()
        self._loop.call_at(self._start + self._due[0], self._send)
        await self._over
        self.cpu_seconds = time.process_time() - cpu
        gc.enable()

    def _send(self) -> None:
        now = time.monotonic()
        while self._next < len(self._due):
            moment = self._start + self._due[self._next]
            if moment > now:
                self._loop.call_at(moment, self._send)
                return
            self.lag[self._next] = now - moment
            if self._free:
                self._free.pop().ask(self._next, self._payload)
            else:
                self._waiting.append(self._next)
            self._next += 1
            now = time.monotonic()

    def _answered(self, connection: ClientConnection, number: int, body: bytes) -> None:
        self.latency[number] = time.monotonic() - self._start - self._due[number]
        if len(self._read({}, body).labels) != 1:
            raise RuntimeError(f"not one label: {body!r}")
        if self._waiting:
            connection.ask(self._waiting.popleft(), self._payload)
        else:
            self._free.append(connection)
        self._left -= 1
        if not self._left:
            self._over.set_result(None)
