"""What has been written and waits for its reader, who may be slow, or not read at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable
from contextlib import suppress

AT_ONCE = struct.pack("ii", 1, 0)


class Outlet:
    """The writing half of a connection.

    full: so much waits that nothing should be added. overdue: called when a reader has had
    `seconds` for what waits, just before the connection is cut.
    """

    def __init__(self, transport: Transport, seconds: float, overdue: Callable[[], None]) -> None:
        self.full = False
        self._transport, self._seconds, self._overdue = transport, seconds, overdue
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        self._timer: TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self.write = transport.write
        self.abort = transport.abort

    def fill(self) -> None:
        """Much waits: from now on its reader has a limited time."""
        self.full = True
        self._limit()

    def drain(self) -> None:
        """Little waits, or nobody is there to read it."""
        self.full = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._drained:
            self._drained.set_result(None)
            self._drained = None

    async def drained(self) -> None:
        """Wait for that."""
        if self.full:
            self._drained = self._drained or self._loop.create_future()
            await asyncio.shield(self._drained)

    def end(self) -> None:
        """Say that nothing follows, and leave the other half open."""
        with suppress(OSError):  # who has gone already is not told, and asyncio says so by itself
            self._transport.write_eof()

    def close(self) -> None:
        """End the connection when what waits has been read, or has had its time."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._limit()

    def _limit(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._cut)

    def _cut(self) -> None:
        self._timer = None
        self._overdue()
        # Else the system would keep what has been sent, and offer it to the client for minutes.
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE
        )
        self._transport.abort()
