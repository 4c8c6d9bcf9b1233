"""The worker: loads a checkpoint, then answers one message after the other.

    python -m nestling.server.engine.worker FILE_DESCRIPTOR

The descriptor is a socket that the server has opened. The worker ends when it is closed: signals
are the server's to handle, which drains first.
"""

from __future__ import annotations

import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

import torch

from ....models.checkpoint.load import load_checkpoint
from ....models.errors import NestlingError
from ....models.progress import Progress
from ....models.runners.base import ModelRunner
from ....models.runners.choose import RunnerOptions, choose
from ...telemetry.logs import configure_logging
from .channel import BlockingChannel
from .messages import Answer, Embed, Failed, Open, Opened, Opening, Request


def main(descriptor: int) -> None:
    """Serve the server at the other end until it closes the connection."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server_gone = (EOFError, BrokenPipeError, ConnectionResetError)
    with socket.socket(fileno=descriptor) as end, suppress(*server_gone):
        _serve(BlockingChannel(end))


def _serve(server: BlockingChannel) -> None:
    wanted = server.receive()
    try:
        runner, opened = _open(wanted, _Told(server))
    except Exception as error:
        server.send(_failed(error))
        return
    server.send(opened)
    while True:
        server.send(_answer(runner, server.receive()))


def _open(wanted: Open, progress: Progress) -> tuple[ModelRunner, Opened]:
    settings = wanted.settings
    configure_logging(settings.log_format)
    torch.set_num_threads(settings.cpu_threads)
    progress.step("loading the weights")
    device = _device(settings.device)
    loaded = load_checkpoint(wanted.path, getattr(torch, settings.dtype), device)
    options = RunnerOptions(settings.providers, settings.cpu_threads)
    choice = choose(settings.runner, loaded, options, progress)
    served = choice.runner.manifest
    return choice.runner, Opened(
        served.students,
        served.cascades,
        served.default,
        choice.name,
        device,
        served.weights_sha256,
    )


def _device(wanted: str) -> str:
    """The device by name; `auto` is a GPU where there is one. Raises NestlingError if there is none
    of that name."""
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if wanted == "auto":
        return available[1] if len(available) > 1 else "cpu"
    name = "cuda:0" if wanted == "cuda" else wanted
    if name not in available:
        raise NestlingError(f"device: {wanted!r} is not here; available are {', '.join(available)}")
    return name


class _Told(Progress):
    """Tells the server how far it is. A note is shown as a phase: nothing here has one yet."""

    def __init__(self, server: BlockingChannel) -> None:
        self._server = server

    def note(self, text: str) -> None:
        self._server.send(Opening(text, 0, 0))

    def step(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        detail: Callable[[], str] | None = None,
    ) -> None:
        self._server.send(Opening(phase, done, total))


def _answer(runner: ModelRunner, request: Request) -> Answer:
    try:
        if isinstance(request, Embed):
            return runner.embed(request.sequences, request.student, request.dimensions)
        return runner.forward(request)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> Failed:
    if isinstance(error, NestlingError):
        return Failed("user", str(error))
    kind = "memory" if isinstance(error, MemoryError) else "error"
    return Failed(kind, traceback.format_exc())


if __name__ == "__main__":
    main(int(sys.argv[1]))
