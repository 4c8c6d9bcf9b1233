"""Several processes that load one server together, so that the client is not the bottleneck."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from types import TracebackType

from ..errors import LoadtestError
from ..texts import TextOrPair
from .plan import SendPlan
from .protocols import Protocol
from .records import Records, merge
from .target import Target
from .worker import WorkerTask, work

AHEAD = 0.05
"""Seconds between the message with the start and the start, so that it arrives in time."""


class WorkerPool:
    """Processes that live as long as the context, and run one plan after another."""

    def __init__(
        self,
        target: Target,
        texts: Sequence[TextOrPair],
        processes: int,
        connections: int,
        timeout: float,
        slow_seconds: float,
    ) -> None:
        self.processes = processes
        self._target, self._texts = target, tuple(texts)
        self._connections = -(-connections // processes)
        self._timeout, self._slow_seconds = timeout, slow_seconds
        self._pipes: list[Pipe] = []
        self._workers: list[multiprocessing.process.BaseProcess] = []

    def __enter__(self) -> WorkerPool:
        context = multiprocessing.get_context("spawn")
        for _ in range(self.processes):
            ours, theirs = context.Pipe()
            worker = context.Process(target=work, args=(theirs,), daemon=True)
            worker.start()
            theirs.close()
            self._pipes.append(ours)
            self._workers.append(worker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for pipe, worker in zip(self._pipes, self._workers, strict=True):
            if error is None:
                pipe.send(None)
            else:
                worker.terminate()  # it may be in the middle of a plan
            worker.join()
            pipe.close()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def run(self, plan: SendPlan, protocols: Sequence[Protocol], model: str) -> Records:
        """Send a plan, and return the results.

        Raises LoadtestError if a process of the client has died.
        """
        try:
            for part, pipe in enumerate(self._pipes):
                pipe.send(
                    WorkerTask(
                        self._target,
                        tuple(protocols),
                        model,
                        self._texts,
                        plan.share(part, self.processes),
                        self._connections,
                        self._timeout,
                        self._slow_seconds,
                    )
                )
            for pipe in self._pipes:
                pipe.recv()
            start = time.monotonic() + AHEAD
            for pipe in self._pipes:
                pipe.send(start)
            return merge([pipe.recv() for pipe in self._pipes])
        except (EOFError, ConnectionError) as error:
            raise LoadtestError("client: a process of its own has died") from error
