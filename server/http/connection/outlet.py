"""What has been written and waits for its reader, who may be slow, or not read at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Callable
from contextlib import suppress

BEGINNING = b"HTTP/1.1 "
"""Of every answer, whatever follows."""
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
        self.begun = 0
        """Bytes of an answer's beginning that have been sent, to find out whether it is awaited."""
        self._listening: TimerHandle | None = None
        self.write = transport.write
        self.abort = transport.abort

    def finish_beginning(self, head: bytes) -> None:
        """Send the beginning of an answer, less what has been sent of it."""
        self._forget_listening()
        self.write(head[self.begun :])
        self.begun = 0

    def ask_if_there(self) -> None:
        """Find out whether somebody waits for an answer who has ended his side of the connection.

        Who has gone altogether looks the same until he is sent something: then his system says so,
        and the next thing sent fails. An answer's beginning is known before the answer is; it goes
        out byte by byte, at longer and longer intervals.
        """
        self.write(BEGINNING[self.begun : self.begun + 1])
        self.begun += 1
        if self.begun < len(BEGINNING):
            self._listening = self._loop.call_later(0.01 * 4**self.begun, self.ask_if_there)

    def lose(self) -> None:
        """Nobody is there any more."""
        self._forget_listening()
        self.drain()

    def fill(self) -> None:
        """Much waits: from now on its reader has a limited time."""
        self.full = True
        self._limit()

    def drain(self) -> None:
        """Little waits."""
        self.full = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._drained:
            self._drained.set_result(None)
            self._drained = None

    async def drained(self) -> None:
        """Wait until little waits, or nobody is there to read it."""
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

    def _forget_listening(self) -> None:
        if self._listening:
            self._listening.cancel()
            self._listening = None

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
