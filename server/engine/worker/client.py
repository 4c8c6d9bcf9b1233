"""The server's end of its worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....models.checkpoint.manifest import Manifest, read_manifest
from ....models.errors import NestlingError
from ....models.progress import SILENT, Progress
from ....models.runners.base import ForwardBatch, ForwardOutput
from ...settings import Settings
from ..executor import ExecutorGoneError
from .connection import WorkerConnection
from .messages import Embed, Failed, Open, Opened, Opening, Request
from .process import WorkerProcess


class WorkerClient:
    """A backend in a process of its own.

    So the interpreter that answers HTTP never waits for the one that computes, and a computation
    that crashes or hangs is ended without the server. `ready` comes first, then `start` on the
    event loop that asks. launched: a process that waits for its first message; None starts one. It
    computes one batch at a time, in the order in which it is asked.
    """

    manifest: Manifest
    device: str
    runner: str

    def __init__(
        self, path: Path, settings: Settings, launched: WorkerProcess | None = None
    ) -> None:
        self._open = Open(path, settings)
        self._link: WorkerConnection | None = None
        self._linked = asyncio.Event()
        """Cleared while the process is replaced, which whoever asks waits for."""
        self._worker = launched or WorkerProcess.now()
        self._worker.channel.send(self._open)

    def ready(self, progress: Progress = SILENT) -> None:
        """Wait until the checkpoint is loaded here and there.

        Raises NestlingError for what the user can mend, BackendGoneError if the process has ended.
        """
        try:
            progress.step("reading the checkpoint")
            self._loaded(read_manifest(self._open.path), progress)
        except BaseException:
            self._worker.kill()
            raise

    async def start(self) -> None:
        self._link = await WorkerConnection.over(self._worker.channel.socket)
        self._linked.set()

    def ask(self, questions: ForwardBatch) -> Awaitable[ForwardOutput]:
        return self._send(questions)

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> Awaitable[NDArray[np.float32]]:
        return self._send(Embed(list(sequences), student, dimensions))

    @property
    def alive(self) -> bool:
        linked = self._link is not None and not self._link.gone
        return linked and self._worker.process.poll() is None

    async def restart(self) -> None:
        """Kill the process, and have another one load the same weights."""
        self._worker.process.kill()  # whoever waits for it gets BackendGoneError
        self._unlink()
        await asyncio.to_thread(self._again)
        await self.start()

    async def stop(self) -> None:
        self._unlink()
        await asyncio.to_thread(self._worker.stop)

    def _unlink(self) -> None:
        self._linked.clear()
        if self._link:
            self._link.close()

    def _again(self) -> None:
        self._worker.stop()
        self._worker = WorkerProcess.now()
        self._worker.channel.send(self._open)
        self._loaded(self.manifest)

    def _loaded(self, described: Manifest, progress: Progress = SILENT) -> None:
        try:
            opened: Opened | Failed | Opening = self._worker.channel.receive()
            while isinstance(opened, Opening):
                progress.step(opened.phase, opened.done, opened.total)
                opened = self._worker.channel.receive()
        except (EOFError, OSError) as error:
            status = self._worker.process.wait()
            raise ExecutorGoneError(
                f"the worker ended while loading, with status {status}"
            ) from error
        if isinstance(opened, Failed):
            raise opened.exception()
        if opened.weights_sha256 != described.weights_sha256:
            raise NestlingError(f"{described.path}: its weights were replaced meanwhile")
        self.manifest = replace(
            described,
            students=opened.students,
            cascades=opened.cascades,
            default=opened.default,
        )
        self.device, self.runner = opened.device, opened.runner

    def _send(self, request: Request) -> Awaitable[Any]:
        """At once, but while the process is replaced."""
        if self._link and self._linked.is_set():
            return self._link.ask(request)
        return self._send_later(request)

    async def _send_later(self, request: Request) -> Any:
        await self._linked.wait()
        return await self._send(request)
