"""From what a server wants of a process to its runner, and what it is told meanwhile."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from ....models.checkpoint.manifest import read_manifest
from ....models.errors import NestlingError
from ....models.progress import Progress
from ....models.runners.base import ModelRunner
from ....models.runners.choose import RunnerOptions, choose
from ...telemetry.logs import configure_logging
from .channel import BlockingChannel
from .messages import Failed, Open, Opened, Opening


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


class ToldProgress(Progress):
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


def failed(error: Exception) -> Failed:
    """What the server is told of an error."""
    if isinstance(error, NestlingError):
        return Failed("user", str(error))
    kind = "memory" if _is_of_memory(error) else "error"
    return Failed(kind, traceback.format_exc())


def _is_of_memory(error: Exception) -> bool:
    """torch has an exception of its own for it, and may not be here to be asked."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
