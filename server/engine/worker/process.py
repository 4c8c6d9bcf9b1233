"""The server's end of its worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ....models.errors import NestlingError
from ....models.manifest import Manifest, read_manifest
from ....models.step import Questions, Verdicts
from ...settings import Settings
from ..backend import BackendGoneError
from .launch import Launched
from .messages import Answer, Embed, Failed, Open, Opened, Request, receive, send


class Worker:
    """A backend in a process of its own.

    So the interpreter that answers HTTP never waits for the one that computes, and a computation
    that crashes or hangs is ended without the server. `ready` comes first. launched: a process that
    waits for its first message; None starts one. One batch is under way at a time, whoever asks.
    """

    manifest: Manifest
    device: str
    runner: str

    def __init__(self, path: Path, settings: Settings, launched: Launched | None = None) -> None:
        self._open = Open(path, settings)
        self._one = Lock()
        self._gone = False
        """Noticed on the connection, before the operating system says so of the process."""
        self._worker = launched or Launched.now()
        send(self._worker.connection, self._open)

    def ready(self) -> None:
        """Wait until the checkpoint is loaded here and there.

        Raises NestlingError for what the user can mend, BackendGoneError if the process has ended.
        """
        try:
            self._loaded(read_manifest(self._open.path))
        except BaseException:
            self.stop()
            raise

    def ask(self, questions: Questions) -> Verdicts:
        return cast(Verdicts, self._send(questions))

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        vectors = self._send(Embed(list(sequences), student, dimensions))
        return cast(NDArray[np.float32], vectors)

    @property
    def alive(self) -> bool:
        return not self._gone and self._worker.process.poll() is None

    def restart(self) -> None:
        """Kill the process, and have another one load the same weights."""
        self._worker.process.kill()  # whoever waits for it gets BackendGoneError, and lets go
        with self._one:
            self._worker.stop()
            self._worker = Launched.now()
            send(self._worker.connection, self._open)
            self._loaded(self.manifest)
            self._gone = False

    def stop(self) -> None:
        self._worker.stop()

    def _loaded(self, described: Manifest) -> None:
        try:
            opened: Opened | Failed = receive(self._worker.connection)
        except (EOFError, OSError) as error:
            status = self._worker.process.wait()
            raise BackendGoneError(
                f"the worker ended while loading, with status {status}"
            ) from error
        if isinstance(opened, Failed):
            raise _exception(opened)
        if opened.weights_sha256 != described.weights_sha256:
            raise NestlingError(f"{described.path}: its weights were replaced meanwhile")
        self.manifest = replace(
            described,
            students=opened.students,
            cascades=opened.cascades,
            default=opened.default,
        )
        self.device, self.runner = opened.device, opened.runner

    def _send(self, request: Request) -> Verdicts | NDArray[np.float32]:
        with self._one:
            try:
                send(self._worker.connection, request)
                answer: Answer = receive(self._worker.connection)
            except (EOFError, OSError) as error:
                self._gone = True
                raise BackendGoneError("the worker has ended") from error
        if isinstance(answer, Failed):
            raise _exception(answer)
        return answer


def _exception(failed: Failed) -> Exception:
    if failed.kind == "user":
        return NestlingError(failed.message)
    if failed.kind == "memory":
        return MemoryError(failed.message)
    return RuntimeError(f"in the worker:\n{failed.message}")
