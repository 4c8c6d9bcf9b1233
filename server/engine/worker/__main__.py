"""The worker: loads a checkpoint, then answers one message after the other.

    python -m nestling.server.engine.worker FILE_DESCRIPTOR

The descriptor is a socket that the server has opened. The worker ends when it is closed: signals
are the server's to handle, which drains first. And it ends, with the status `DEVICE_FAILED`, when
the device answers no more: only another process can use it again, which the server starts.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from threading import Thread

from ....models import device
from ....models.checkpoint.manifest import read_manifest
from ....models.errors import NestlingError
from ....models.progress import Progress
from ....models.runners.base import ModelRunner
from ....models.runners.choose import RunnerOptions, choose
from ...telemetry.logs import configure_logging
from .channel import BlockingChannel
from .messages import Answer, Embed, Failed, Open, Opened, Opening, Request
from .process import DEVICE_FAILED

log = logging.getLogger(__name__)
CHECK_SECONDS = 10.0
"""How long a device may take to say whether it is well. One that says nothing must not hide the
error that made the worker ask, until the server kills it.
"""


class DeviceFailedError(Exception):
    """The device answers no more in this process."""


def main(descriptor: int) -> None:
    """Serve the server at the other end until it closes the connection, or the device fails."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as end:
        try:
            serve(BlockingChannel(end))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the server is gone
        except DeviceFailedError as error:
            log.error("%s: the worker ends, and another one starts", error, exc_info=error)
            logging.shutdown()
            # Before the socket is closed, at which the server may kill the process, and would not
            # see the status. What libraries do at an exit asks the device, which may never answer.
            os._exit(DEVICE_FAILED)


def serve(server: BlockingChannel) -> None:
    """Open what the first message wants, and answer those that follow.

    Returns if it cannot be opened. Raises OSError or EOFError once the server is gone, and
    DeviceFailedError.
    """
    wanted = server.receive()
    try:
        runner, opened = open_runner(wanted, Told(server))
    except Exception as error:
        server.send(failed(error))
        return
    server.send(opened)
    while True:
        server.send(_answer(runner, server.receive()))


def open_runner(wanted: Open, progress: Progress) -> tuple[ModelRunner, Opened]:
    """The runner that was asked for, warm, and what it serves."""
    settings = wanted.settings
    configure_logging(settings.log_format)
    manifest = read_manifest(wanted.path)
    options = RunnerOptions(
        settings.device, settings.dtype, settings.providers, settings.cpu_threads
    )
    choice = choose(settings.runner, manifest, options, progress)
    runner = choice.runner
    try:
        runner.warm_up(settings.max_batch_tokens, progress)
    except Exception as error:
        if not _is_of_memory(error):
            raise
        raise NestlingError(
            f"max_batch_tokens: {runner.device} has no memory for a batch of "
            f"{settings.max_batch_tokens} tokens: {error}"
        ) from error
    served = runner.manifest
    return runner, Opened(
        served.students,
        served.cascades,
        served.default,
        choice.name,
        runner.precision,
        runner.device,
        served.weights_sha256,
    )


class Told(Progress):
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
    """Raises DeviceFailedError where no later request could be answered either."""
    try:
        if isinstance(request, Embed):
            return runner.embed(request.sequences, request.student, request.dimensions)
        return runner.forward(request)
    except Exception as error:
        answer = failed(error)
        if (why := _what_fails(runner.device)) is not None:
            raise DeviceFailedError(f"{runner.device} answers no more ({why})") from error
        return answer


def _what_fails(name: str) -> str | None:
    """What a device says if it is lost to this process; None if it is well."""
    said: list[str | None] = [f"it said nothing for {CHECK_SECONDS:g} s"]

    def check() -> None:
        try:
            device.check(name)
            said[0] = None
        except Exception as found:
            said[0], _, _ = str(found).partition("\n")

    asking = Thread(target=check, name="device check", daemon=True)
    asking.start()
    asking.join(CHECK_SECONDS)
    return said[0]


def failed(error: Exception) -> Failed:
    """What the server is told of it."""
    if isinstance(error, NestlingError):
        return Failed("user", str(error))
    kind = "memory" if _is_of_memory(error) else "error"
    return Failed(kind, traceback.format_exc())


def _is_of_memory(error: Exception) -> bool:
    """torch has an exception of its own for it, and may not be here to be asked."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


if __name__ == "__main__":
    main(int(sys.argv[1]))
