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
from threading import Thread

from ....models import device
from ....models.runners.base import ModelRunner
from .channel import BlockingChannel
from .messages import Answer, Embed, Request
from .opening import ToldProgress, failed, open_runner
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
        runner, opened = open_runner(wanted, ToldProgress(server))
    except Exception as error:
        server.send(failed(error))
        return
    server.send(opened)
    while True:
        server.send(_answer(runner, server.receive()))


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


if __name__ == "__main__":
    main(int(sys.argv[1]))
