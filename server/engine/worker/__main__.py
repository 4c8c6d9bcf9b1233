"""The worker: loads a checkpoint, then answers one message after the other.

    python -m nestling.server.engine.worker FILE_DESCRIPTOR

The descriptor is a socket that the server has opened. The worker ends when it is closed: signals
are the server's to handle, which drains first.
"""

from __future__ import annotations

import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import torch

from ....models.checkpoint import load_checkpoint
from ....models.errors import NestlingError
from ...telemetry.requests import configure_logging
from ..local import LocalBackend
from ..runners.choose import choose
from .device import device_of
from .messages import Answer, Embed, Failed, Open, Opened, Request, receive, send


def main(descriptor: int) -> None:
    """Serve the server at the other end until it closes the connection."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server_gone = (EOFError, BrokenPipeError, ConnectionResetError)
    with Connection(descriptor) as server, suppress(*server_gone):
        _serve(server)


def _serve(server: Connection[Any, Any]) -> None:
    wanted = receive(server)
    try:
        backend, opened = _open(wanted)
    except Exception as error:
        send(server, _failed(error))
        return
    send(server, opened)
    while True:
        send(server, _answer(backend, receive(server)))


def _open(wanted: Open) -> tuple[LocalBackend, Opened]:
    settings = wanted.settings
    configure_logging(settings.log_format)
    torch.set_num_threads(settings.cpu_threads)
    device = device_of(settings.device)
    loaded = load_checkpoint(wanted.path, getattr(torch, settings.dtype), device)
    choice = choose(loaded, settings)
    backend = LocalBackend(choice.checkpoint, choice.run)
    served = choice.checkpoint
    return backend, Opened(
        served.students,
        served.cascades,
        served.default,
        choice.name,
        device,
        served.weights_sha256,
    )


def _answer(backend: LocalBackend, request: Request) -> Answer:
    try:
        if isinstance(request, Embed):
            return backend.embed(request.sequences, request.student, request.dimensions)
        return backend.ask(request)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> Failed:
    if isinstance(error, NestlingError):
        return Failed("user", str(error))
    kind = "memory" if isinstance(error, MemoryError) else "error"
    return Failed(kind, traceback.format_exc())


if __name__ == "__main__":
    main(int(sys.argv[1]))
