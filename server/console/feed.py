"""The stream of numbers: read once per second for all who listen, and not at all for nobody."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from time import monotonic, time
from typing import Any

import orjson

from ..core.reload import Reloader
from ..core.service import Service
from .about import about
from .numbers import NAMES, guarded, numbers
from .reading import Reading

SECONDS = 1.0
"""Between two messages."""
WINDOW = 10
"""Messages over which rates and quantiles go: shorter, and they jump; longer, and they lag."""


class Feed:
    """Server-sent events for any number of listeners. Belongs to the event loop.

    `about` comes first, and again after a reload; then `numbers` once per second: the sums of the
    last WINDOW seconds (`now`) and since the start (`total`). A listener that is slow misses
    numbers; nothing waits for it.
    """

    def __init__(self, reloader: Reloader, endpoints: Collection[str], experiments: bool) -> None:
        """endpoints: those that answer texts; the console's own requests are not what it shows.

        experiments: whether they are on.
        """
        self._reloader, self._endpoints = reloader, endpoints
        self._experiments = experiments
        self._start = Reading(monotonic(), {})
        self._readings: deque[Reading] = deque(maxlen=WINDOW + 1)
        self._listeners = 0
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._tick = asyncio.Event()
        self._service: Service | None = None
        self._about = self._numbers = b""

    async def listen(self) -> AsyncIterator[bytes]:
        """Events, until the server drains."""
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        told = b""
        try:
            while not self._closed:
                if self._about is not told:
                    told = self._about
                    yield told
                if self._numbers:
                    yield self._numbers
                if self._task.done():
                    self._task.result()  # raises what ended it: nobody would wake us any more
                await self._tick.wait()
        finally:
            self._listeners -= 1
            if not self._listeners and self._task:
                self._forget()

    def close(self) -> None:
        """Let all listeners go."""
        self._closed = True
        self._wake()

    async def _run(self) -> None:
        try:
            while True:
                await self._read()
                self._wake()
                await asyncio.sleep(SECONDS)
        finally:
            self._wake()

    async def _read(self) -> None:
        service = self._reloader.service
        if service is not self._service:
            self._about = _event(
                "about", await asyncio.to_thread(about, service, self._experiments)
            )
            self._service = service
        await service.gather()
        now = Reading.of(service.metrics.registry, NAMES, monotonic())
        self._readings.append(now)
        students = service.manifest.students
        self._numbers = _event(
            "numbers",
            {
                "time": time(),
                "ready": service.ready,
                "brownout": now.total("nestling_brownout_level"),
                "waiting": now.total("nestling_queue_requests"),
                "running": now.total("nestling_requests_running"),
                "guarantees": guarded(now),
                "now": numbers(now.since(self._readings[0]), students, self._endpoints),
                "total": numbers(now.since(self._start), students, self._endpoints),
            },
        )

    def _wake(self) -> None:
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()

    def _forget(self) -> None:
        """Nobody listens: the next one must not see a window with a gap in it."""
        if self._task:
            self._task.cancel()
            self._task = None
        self._readings.clear()
        self._service, self._about, self._numbers = None, b"", b""


def _event(name: str, content: dict[str, Any]) -> bytes:
    """The form of an event in a stream (WHATWG HTML, section 9.2.6)."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(content))
