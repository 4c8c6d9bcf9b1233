"""The addresses that a server listens on: taken first, so this is light to import."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from ...models.errors import NestlingError
from ..settings import Settings


@dataclass(frozen=True)
class Listeners:
    """Addresses that are taken. metrics: None where metrics are among the rest."""

    main: socket.socket
    metrics: socket.socket | None

    def taken(self, settings: Settings) -> Settings:
        """With the ports that the operating system chose where settings left it to."""
        metrics = self.metrics.getsockname()[1] if self.metrics else None
        return replace(settings, port=self.main.getsockname()[1], metrics_port=metrics)


@contextmanager
def bind(settings: Settings) -> Iterator[Listeners]:
    """Take the addresses, so that a taken one is known before anything is loaded.

    They listen only when the server is ready. Raises NestlingError.
    """
    with ExitStack() as stack:
        main = stack.enter_context(_bind(settings.host, settings.port))
        metrics = None
        if settings.metrics_port is not None:
            metrics = stack.enter_context(_bind(settings.host, settings.metrics_port))
        yield Listeners(main, metrics)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise NestlingError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
