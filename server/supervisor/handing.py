"""Connections on their way from one process to another, with what has been read of them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)
PIECE = 64 * 1024
"""Bytes of one message at most."""
LAST, MORE = b"\x00", b"\x01"
"""The first byte of a message: whether it is the last that comes with a connection."""
AT_ONCE = 64
"""Connections that are taken before anything else has its turn."""
Take = Callable[[socket.socket, bytes], None]


class Handing:
    """One end of a pair of Unix sockets. Belongs to the event loop.

    take: is given each connection that comes, and the bytes that have been read of it. lost: called
    of each that could not come, as this process has no descriptor left. What cannot be handed on,
    since the other process has gone, is closed.
    """

    def __init__(
        self, end: socket.socket, take: Take, lost: Callable[[], None] = lambda: None
    ) -> None:
        self._end, self._take, self._lost = end, take, lost
        self._waiting: deque[tuple[bytes, socket.socket | None]] = deque()
        self._coming: socket.socket | None = None
        self._begun = b""
        self._loop = asyncio.get_running_loop()
        end.setblocking(False)
        self._loop.add_reader(end, self.receive)

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        """Its two ends."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def hand(self, connection: socket.socket, begun: bytes = b"") -> None:
        """Send a connection, which is the other process's from then on."""
        pieces = [begun[at : at + PIECE] for at in range(0, len(begun), PIECE)] or [b""]
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            self._waiting.append(((LAST if last else MORE) + piece, None if index else connection))
        self._send()

    @property
    def busy(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._waiting)

    def receive(self) -> bool:
        """Take what has come; whether more may have."""
        for _ in range(AT_ONCE):
            try:
                data, descriptors, flags, _ = socket.recv_fds(self._end, PIECE + 1, 1)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:  # the other process has gone, which is seen elsewhere
                self._loop.remove_reader(self._end)
                return False
            if flags & socket.MSG_CTRUNC:
                log.error("a connection is lost: this process has no descriptor left for it")
                self._lost()
            if descriptors:
                self._coming, self._begun = socket.socket(fileno=descriptors[0]), b""
            self._begun += data[1:]
            if data[:1] == LAST and self._coming:
                connection, self._coming = self._coming, None
                self._take(connection, self._begun)
        return True

    def close(self) -> None:
        """Close the end, and what waits."""
        self._loop.remove_reader(self._end)
        self._loop.remove_writer(self._end)
        for _, connection in self._waiting:
            if connection:
                connection.close()
        self._waiting.clear()
        self._end.close()

    def _send(self) -> None:
        while self._waiting:
            data, connection = self._waiting[0]
            try:
                descriptors = [connection.fileno()] if connection else []
                socket.send_fds(self._end, [data], descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._end, self._send)
                return
            except OSError as error:
                log.debug("a connection could not be handed on: %s", error)
            self._waiting.popleft()
            if connection:
                connection.close()
        with suppress(ValueError):
            self._loop.remove_writer(self._end)
