"""From settings to a listening process, and to its end without a lost answer."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from ..models.errors import NestlingError
from .settings import Settings


def bind(settings: Settings) -> socket.socket:
    """Take the address, so that a taken one is known before anything is loaded.

    It listens only when the server is ready. Raises NestlingError.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        address = f"{settings.host}:{settings.port}"
        raise NestlingError(f"cannot listen on {address}: {error.strerror}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(
    app: ASGIApp, settings: Settings, listener: socket.socket, announce: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then finish every accepted request.

    announce: called once requests are answered.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    # uvicorn raises the signal that stopped it once more after its work is done; that would end
    # an orderly stop with the status of a killed process.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _Server(config, announce).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()
