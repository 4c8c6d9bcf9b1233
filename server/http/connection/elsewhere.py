"""Requests that another process of the same server answers."""

from __future__ import annotations

import os
import socket
from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from .head import Head

LOOK_SECONDS = 0.01
"""From one look at what waits to be read to the next."""


class Elsewhere(Protocol):
    """The other process, or one of them."""

    def answers(self, head: Head) -> bool:
        """Whether a request is not for this process."""

    def take(self, connection: socket.socket, begun: bytes) -> None:
        """Have a connection, from a request on. begun: what has been read of that."""


def move(
    loop: AbstractEventLoop,
    transport: Transport,
    take: Callable[[socket.socket], None],
    seconds: float,
) -> None:
    """Give a connection away, once its client has what was written; it has so many seconds.

    It must not be read any more; its end here is none for the client.
    """
    until = monotonic() + seconds

    def look() -> None:
        if transport.is_closing():
            return
        if not transport.get_write_buffer_size():
            own = transport.get_extra_info("socket")
            take(socket.socket(fileno=os.dup(own.fileno())))
            transport.abort()
        elif monotonic() > until:
            transport.abort()
        else:
            loop.call_later(LOOK_SECONDS, look)

    look()
