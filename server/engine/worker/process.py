"""The server's end of its worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from ....models.batch import PackedBatch
from ....models.cascade import Student
from ....models.checkpoint import Checkpoint, load_checkpoint
from ....models.errors import NestlingError
from ...settings import Settings
from ..backend import BackendGoneError
from .launch import Launched
from .messages import Answer, Embed, Failed, Open, Opened, Request, Run


class Worker:
    """A backend in a process of its own.

    So the interpreter that answers HTTP never waits for the one that computes, and a computation
    that crashes or hangs is ended without the server. `ready` comes first. launched: a process that
    waits for its first message; None starts one. One batch is under way at a time, whoever asks.
    """

    checkpoint: Checkpoint
    device: str
    runner: str

    def __init__(self, path: Path, settings: Settings, launched: Launched | None = None) -> None:
        self._open = Open(path, settings)
        self._one = Lock()
        self._worker = launched or Launched.now()
        self._worker.connection.send(self._open)

    def ready(self) -> None:
        """Wait until the checkpoint is loaded here and there.

        Raises NestlingError for what the user can mend, BackendGoneError if the process has ended.
        """
        try:
            described = load_checkpoint(self._open.path, device="meta")  # without its weights
            self._loaded(described)
        except BaseException:
            self.stop()
            raise

    def run(self, batch: PackedBatch) -> Tensor:
        layout = batch.layout
        names = tuple(self._names[student] for student in batch.students)
        tokens = batch.tokens.numpy()
        return self._ask(Run(tokens, layout.lengths, layout.groups, names))

    def embed(
        self, sequences: Sequence[Sequence[int]], student: Student, dimensions: int
    ) -> Tensor:
        return self._ask(Embed([list(ids) for ids in sequences], student.name, dimensions))

    @property
    def alive(self) -> bool:
        return self._worker.process.poll() is None

    def restart(self) -> None:
        """Kill the process, and have another one load the same weights."""
        self._worker.process.kill()  # whoever waits for it gets BackendGoneError, and lets go
        with self._one:
            self._worker.stop()
            self._worker = Launched.now()
            self._worker.connection.send(self._open)
            self._loaded(self.checkpoint)

    def stop(self) -> None:
        self._worker.stop()

    def _loaded(self, described: Checkpoint) -> None:
        try:
            opened: Opened | Failed = self._worker.connection.recv()
        except (EOFError, OSError) as error:
            status = self._worker.process.wait()
            raise BackendGoneError(
                f"the worker ended while loading, with status {status}"
            ) from error
        if isinstance(opened, Failed):
            raise _exception(opened)
        if opened.weights_sha256 != described.weights_sha256:
            raise NestlingError(f"{described.path}: its weights were replaced meanwhile")
        self.checkpoint = replace(
            described,
            students=opened.students,
            cascades=opened.cascades,
            default=opened.default,
        )
        self.device, self.runner = opened.device, opened.runner
        self._names = {student.spec: name for name, student in opened.students.items()}

    def _ask(self, request: Request) -> Tensor:
        with self._one:
            try:
                self._worker.connection.send(request)
                answer: Answer = self._worker.connection.recv()
            except (EOFError, OSError) as error:
                raise BackendGoneError("the worker has ended") from error
        if isinstance(answer, Failed):
            raise _exception(answer)
        return torch.from_numpy(answer)


def _exception(failed: Failed) -> Exception:
    if failed.kind == "user":
        return NestlingError(failed.message)
    if failed.kind == "memory":
        return MemoryError(failed.message)
    return RuntimeError(f"in the worker:\n{failed.message}")
