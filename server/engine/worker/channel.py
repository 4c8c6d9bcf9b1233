"""How messages go over a socket: each with its length before it, pickled plainly.

Not by `multiprocessing.connection`, whose `send` gathers what else it could pickle each time, and
which an event loop cannot wait for.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Any

LENGTH = Struct("!Q")
CHUNK = 1 << 18
"""Bytes that are read at once."""


def packed(message: object) -> bytes:
    """What goes over the socket."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


class FrameDecoder:
    """Bytes in, messages out."""

    def __init__(self) -> None:
        self._held = bytearray()

    def put(self, data: bytes) -> None:
        """What has been read."""
        self._held += data

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The next message that is here wholly."""
        if len(self._held) < LENGTH.size:
            raise StopIteration
        end = LENGTH.size + LENGTH.unpack_from(self._held)[0]
        if len(self._held) < end:
            raise StopIteration
        with memoryview(self._held) as held:
            message = pickle.loads(held[LENGTH.size : end])
        del self._held[:end]
        return message


class BlockingChannel:
    """One end of a socket, for a process that waits for each message."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._inbox = FrameDecoder()

    def send(self, message: object) -> None:
        """Raises OSError if the other end has gone."""
        self.socket.sendall(packed(message))

    def receive(self) -> Any:
        """The next message; waits for it. Raises EOFError or OSError if the other end has gone."""
        for message in self._inbox:
            return message
        while data := self.socket.recv(CHUNK):
            self._inbox.put(data)
            for message in self._inbox:
                return message
        raise EOFError

    def close(self) -> None:
        """The other end notices."""
        self.socket.close()
