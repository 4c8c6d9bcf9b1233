"""The server's end of its worker."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ....models.checkpoint.manifest import Manifest, read_manifest
from ....models.errors import NestlingError
from ....models.precision import Precision
from ....models.progress import SILENT, Progress
from ....models.runners import RunnerName
from ....models.runners.base import ForwardBatch, ForwardOutput
from ...settings import Settings
from ...telemetry.progress import Logged
from ..executor import ExecutorGoneError
from .channel import FrameDecoder, packed
from .messages import Embed, Failed, Open, Opened, Opening, Request
from .process import DEVICE_FAILED, WorkerProcess

log = logging.getLogger(__name__)


class WorkerClient:
    """An executor in a process of its own.

    So the interpreter that answers HTTP never waits for the one that computes, and a computation
    that crashes or hangs is ended without the server. `ready` comes first, then `start` on the
    event loop that asks. launched: a process that waits for its first message; None starts one. It
    computes one batch at a time, in the order in which it is asked.
    """

    manifest: Manifest
    device: str
    precision: Precision
    runner: str

    def __init__(
        self, path: Path, settings: Settings, launched: WorkerProcess | None = None
    ) -> None:
        self._open = Open(path, settings)
        self._link: WorkerConnection | None = None
        self.alive = False
        self.device_failures = 0
        self._linked = asyncio.Event()
        """Cleared while the process is replaced, which whoever asks waits for."""
        self._worker = launched or WorkerProcess.now()
        self._worker.channel.send(self._open)

    def ready(self, progress: Progress = SILENT) -> None:
        """Wait until the checkpoint is loaded here and there.

        Raises NestlingError for what the user can fix, ExecutorGoneError if the process has ended.
        """
        try:
            progress.step("reading the checkpoint")
            self._loaded(read_manifest(self._open.path), progress)
        except BaseException:
            self._worker.kill()
            raise

    async def start(self) -> None:
        self._link = await WorkerConnection.over(self._worker.channel.socket, self._lose)
        self.alive = True
        self._linked.set()

    def ask(self, batch: ForwardBatch) -> Awaitable[ForwardOutput]:
        return self._send(batch)

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> Awaitable[NDArray[np.float32]]:
        return self._send(Embed(list(sequences), student, dimensions))

    async def turn(self) -> None:
        """It has a processor to itself."""

    async def restart(self) -> None:
        """Kill the process, and have another one load the same weights."""
        if self.alive:  # else it ends by itself, with the status that says why
            self._worker.process.kill()  # whoever waits for it gets ExecutorGoneError
        self._unlink()
        await asyncio.to_thread(self._again)
        await self.start()
        log.info("the worker is there again, on %s", self.device)

    async def stop(self) -> None:
        self._unlink()
        await asyncio.to_thread(self._worker.stop)

    def _lose(self, link: WorkerConnection) -> None:
        if link is self._link:
            self.alive = False

    def _unlink(self) -> None:
        self._linked.clear()
        self.alive = False
        if self._link:
            self._link.close()

    def _again(self) -> None:
        self._worker.stop()
        if self._worker.process.returncode == DEVICE_FAILED:
            self.device_failures += 1
            log.error("the worker has ended because %s answered no more", self.device)
        self._worker = WorkerProcess.now()
        self._worker.channel.send(self._same())
        self._loaded(self.manifest, Logged("starting a worker: "))

    def _same(self) -> Open:
        """What was opened, whatever is on the disk or in the machine by now: the thresholds that
        the server goes by are of this precision.
        """
        runner = cast("RunnerName", self.runner)
        settings = replace(self._open.settings, device=self.device, runner=runner)
        if self.precision != "int8":
            settings = replace(settings, dtype=self.precision)
        return replace(self._open, settings=settings)

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
        self.device, self.precision = opened.device, opened.precision
        self.runner = opened.runner

    def _send(self, request: Request) -> Awaitable[Any]:
        """At once, but while the process is replaced."""
        if self._link and self._linked.is_set():
            return self._link.ask(request)
        return self._send_later(request)

    async def _send_later(self, request: Request) -> Any:
        await self._linked.wait()
        return await self._send(request)


class WorkerConnection(asyncio.Protocol):
    """The server's end of the socket: requests out, answers in, on the event loop, without a wait.

    The worker answers in the order in which it is asked. lost: told when the other end has gone,
    which shows here before the operating system says so of the process.
    """

    def __init__(self, lost: Callable[[WorkerConnection], None]) -> None:
        self._inbox = FrameDecoder()
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._lost, self.gone = lost, False

    @classmethod
    async def over(
        cls, end: socket.socket, lost: Callable[[WorkerConnection], None]
    ) -> WorkerConnection:
        """Take over a socket, which is the running loop's from now on."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(lost), sock=end)
        return link

    def ask(self, request: object) -> asyncio.Future[Any]:
        """Its answer, or the exception of a failed one, or ExecutorGoneError."""
        answer = asyncio.get_running_loop().create_future()
        if self.gone:
            answer.set_exception(ExecutorGoneError("the worker has ended"))
        else:
            self._asked.append(answer)
            self._transport.write(packed(request))
        return answer

    def close(self) -> None:
        """The worker notices."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._inbox.put(data)
        for answer in self._inbox:
            asked = self._asked.popleft()
            if asked.done():  # nobody waits for it any more
                continue
            if isinstance(answer, Failed):
                asked.set_exception(answer.exception())
            else:
                asked.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        self._lost(self)
        while self._asked:
            asked = self._asked.popleft()
            if not asked.done():
                asked.set_exception(ExecutorGoneError("the worker has ended"))
