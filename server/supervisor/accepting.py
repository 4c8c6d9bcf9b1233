"""Connections that come in, and that begin to be answered."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

import uvicorn

log = logging.getLogger(__name__)
BACKLOG = 2048
"""Connections that wait in the system, as uvicorn has it."""
AT_ONCE = 64
"""That are accepted before anything else has its turn."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_SECONDS = 1.0
"""After which it is tried again, where the system has no more descriptors."""


class Accepting:
    """Listens, and gives each connection away. Belongs to the event loop."""

    def __init__(self, listener: socket.socket, give: Callable[[socket.socket], None]) -> None:
        self._listener, self._give = listener, give
        self._loop = asyncio.get_running_loop()
        listener.setblocking(False)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # which its connections get
        listener.listen(BACKLOG)
        self._open()

    def close(self) -> None:
        """Listen no more; whoever has been let in by the system is given away."""
        self._loop.remove_reader(self._listener)
        while self._accept():
            pass
        self._listener.close()

    def _open(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> bool:
        """Whether more may wait."""
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                log.error("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                self._loop.call_later(PAUSE_SECONDS, self._open)
                return False
            connection.setblocking(False)
            self._give(connection)
        return True


async def connect(server: uvicorn.Server, connection: socket.socket, begun: bytes) -> bool:
    """Answer on a connection, of which another process may have read the beginning.

    Returns whether it is open still.
    """
    config = server.config
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: config.http_protocol_class(  # type: ignore[call-arg]  # ours
                config=config,
                server_state=server.server_state,
                app_state=server.lifespan.state,
                begun=begun,
            ),
            connection,
        )
    except OSError:  # its client has gone
        connection.close()
        return False
    return True
