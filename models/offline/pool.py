"""Blocks answered by several processes, and given back in their order.

Each process has the runner inside and holds one block at a time. It ends when this one does, since
its pipe is closed then; Ctrl-C is for this one alone.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NoReturn

from ..errors import NestlingError
from ..progress import Progress
from .formats.rows import RowBlock
from .work import AnsweredBlock, OfflineJob, OfflineWork

AHEAD = 4
"""Blocks per process that are answered before one that comes earlier."""
Ready = Callable[[], bool]


class OfflineProcess:
    """One process, from this side. block: the number of the one that it holds."""

    def __init__(self, job: OfflineJob) -> None:
        context = multiprocessing.get_context("spawn")
        self.end, other = context.Pipe()
        self.block: int | None = None
        self.ready = False
        self._process: SpawnProcess = context.Process(target=_serve, args=(other, job), daemon=True)
        with _uninterrupted():
            self._process.start()
        other.close()

    def give(self, number: int, block: RowBlock) -> None:
        """Have it answer a block. Raises NestlingError if it has ended."""
        self.block = number
        try:
            self.end.send(block)
        except (BrokenPipeError, ConnectionResetError):
            self._refuse_ended()

    def take(self) -> Any:
        """Its next message. Raises NestlingError for what it says is wrong, and if it has ended."""
        try:
            kind, content = self.end.recv()
        except (EOFError, ConnectionResetError):
            self._refuse_ended()
        if kind == "refused":
            raise NestlingError(content)
        if kind == "failed":
            raise RuntimeError(content)
        return kind, content

    def _refuse_ended(self) -> NoReturn:
        self._process.join()
        code = self._process.exitcode or 0
        by = f"signal {-code}" if code < 0 else f"status {code}"
        more = "; the machine may lack memory" if code == -signal.SIGKILL else ""
        raise NestlingError(f"processes: one has ended with {by}{more}")

    def stop(self) -> None:
        """End it, whatever it does."""
        self.end.close()
        self._process.kill()
        self._process.join()


def answered(
    job: OfflineJob,
    blocks: Iterator[RowBlock],
    processes: int,
    progress: Progress,
    source: int | None = None,
) -> Generator[AnsweredBlock]:
    """Each block's answer, in order. One process is this one.

    source: the descriptor that the blocks come from, if it may have nothing for a while. Raises
    NestlingError for what cannot be loaded or read, and if a process ends.
    """
    if processes == 1:
        yield from map(OfflineWork(job, progress), blocks)
        return
    # The first one makes graphs that no cache has yet, for all of them.
    workers = [OfflineProcess(job)]
    try:
        yield from _in_order(job, blocks, processes, workers, progress, source)
    finally:
        for worker in workers:
            worker.stop()


def _in_order(
    job: OfflineJob,
    blocks: Iterator[RowBlock],
    processes: int,
    workers: list[OfflineProcess],
    progress: Progress,
    source: int | None,
) -> Iterator[AnsweredBlock]:
    given = due = 0
    more = True
    done: dict[int, AnsweredBlock] = {}
    while True:
        idle = [each for each in workers if each.ready and each.block is None]
        while more and idle and given - due < AHEAD * processes and _has_more(source):
            block = next(blocks, None)
            more = block is not None
            if block is not None:
                idle.pop().give(given, block)
                given += 1
        if not more and given == due:
            return
        room = more and bool(idle) and given - due < AHEAD * processes
        heard: list[Any] = [e.end for e in workers if e.block is not None or not e.ready]
        if room and source is not None:
            heard.append(source)
        for end in wait(heard):
            if end is source:
                continue
            worker = next(each for each in workers if each.end is end)
            kind, content = worker.take()
            if kind == "step":
                if worker is workers[0]:  # the others load while it answers
                    progress.step(*content)
            elif kind == "ready":
                worker.ready = True
                workers += [OfflineProcess(job) for _ in range(processes - len(workers))]
            elif worker.block is not None:
                done[worker.block], worker.block = content, None
        while due in done:
            yield done.pop(due)
            due += 1


def _has_more(source: int | None) -> bool:
    return source is None or bool(select.select([source], [], [], 0)[0])


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that is started meanwhile never hears of Ctrl-C, however early it comes."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, which alone hears of it
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(end: Connection, job: OfflineJob) -> None:
    """In the other process: answer each block that comes."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            work = OfflineWork(job, _Told(end))
            end.send(("ready", None))
            while True:
                end.send(("answered", work(end.recv())))
        except NestlingError as error:
            end.send(("refused", str(error)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception:
            end.send(("failed", traceback.format_exc()))


class _Told(Progress):
    """Sends on what is reported here."""

    def __init__(self, end: Connection) -> None:
        self._end = end

    def step(self, phase: str, done: int = 0, total: int = 0, detail: Any = None) -> None:
        self._end.send(("step", (phase, done, total)))
