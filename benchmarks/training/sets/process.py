"""Commands as processes: each run once to its end, with its log, and what it took."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from nestling.models.checkpoint.integrity import replace_text
from nestling.models.progress import Progress

STOP = 20.0
"""Seconds that a command may take to end when it is told."""


class CommandFailedError(RuntimeError):
    """A command ended with a status that nobody expected. The message names its log."""


@dataclass(frozen=True)
class Spent:
    """Of a command and all its children, over all attempts: a run that was killed goes on in the
    next. cpu_seconds: None where an attempt was killed, which leaves no such number. peak_mib: the
    greatest memory of one process, of the last attempt.
    """

    wall_seconds: float
    cpu_seconds: float | None
    peak_mib: float | None
    attempts: int


@dataclass(frozen=True)
class Finished:
    """status: with which it ended. out, error: what it printed, of the second the last line."""

    status: int
    out: str
    error: str
    spent: Spent


@dataclass(frozen=True)
class Installation:
    """An interpreter that has Nestling. own: whether it is this one, which keeps its variables;
    another must not find this one's code.
    """

    python: str
    own: bool

    def environment(self) -> dict[str, str]:
        """What its processes get."""
        foreign = () if self.own else ("PYTHONPATH", "VIRTUAL_ENV")
        return {name: value for name, value in os.environ.items() if name not in foreign}

    def nestling(self, *arguments: str | Path) -> list[str]:
        """The command line of a subcommand."""
        return [self.python, "-m", "nestling.cli", *map(str, arguments)]


def once(
    name: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    progress: Progress,
    expected: Callable[[Finished], bool] = lambda ended: ended.status == 0,
    made: Path | None = None,
) -> Finished:
    """Run a command in `folder` unless it has ended there before; keep how it ended in NAME.json.

    Its standard error goes to a log for each attempt. made: what it renames into its place when all
    is done; where that is there, an attempt went on to its end after this program was killed.
    Raises CommandFailedError where it ended otherwise than expected, and keeps nothing but the log.
    """
    kept = folder / f"{name}.json"
    if kept.exists():
        found = json.loads(kept.read_text("utf-8"))
        return Finished(**{**found, "spent": Spent(**found["spent"])})
    logs = sorted(folder.glob(f"{name}.*.log"), key=lambda log: log.stat().st_mtime)
    before = sum(map(_lasted, logs))
    if made is not None and made.exists() and logs:
        spent = Spent(round(before, 1), None, None, len(logs))
        finished = Finished(0, "", _last_line(logs[-1]), spent)
    else:
        log = folder / f"{name}.{len(logs) + 1}.log"
        finished = _run(command, name, log, environment, before, len(logs), progress)
        if not expected(finished):
            log.rename(log.with_suffix(".failed"))  # no attempt that the next one goes on from
            raise CommandFailedError(
                f"{folder.parent.name}, {folder.name}: {name} ended with status {finished.status}: "
                f"{finished.error} (all of it: {log.with_suffix('.failed')})"
            )
    replace_text(kept, json.dumps(asdict(finished)) + "\n")
    return finished


def _run(
    command: Sequence[str],
    name: str,
    log: Path,
    environment: Mapping[str, str],
    before: float,
    attempts: int,
    progress: Progress,
) -> Finished:
    """before, attempts: of those that were killed."""
    folder, printed = log.parent, log.parent / f"{name}.out"
    started = time.monotonic()
    with (
        _lock(printed.with_suffix(".lock")) as lock,
        log.open("w", encoding="utf-8") as said,
        printed.open("w", encoding="utf-8") as out,
    ):
        said.write(f"{time.time():.1f} {shlex.join(command)}\n")
        said.flush()
        phase = f"{folder.parent.name}, {folder.name}: {name}"
        progress.step(phase, detail=lambda: _last_line(log))
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=said,
            pass_fds=(lock.fileno(),),
        )
        usage = _awaited(process)
    wall = time.monotonic() - started + before
    cpu = None if attempts else round(usage.ru_utime + usage.ru_stime, 1)
    spent = Spent(round(wall, 1), cpu, round(usage.ru_maxrss / 1024, 1), attempts + 1)
    return Finished(process.returncode, printed.read_text("utf-8"), _last_line(log), spent)


def _lock(path: Path) -> IO[str]:
    """Held by the command, too: it may go on after this program is killed, and what it has begun
    is no other's to go on with. Raises CommandFailedError while it does.
    """
    lock = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise CommandFailedError(
            f"{path.with_suffix('')}: an earlier attempt still runs; wait until it has ended"
        ) from None
    return lock


def _awaited(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """What it and its children used. Where this program is told to end, it ends too."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _lasted(log: Path) -> float:
    """Seconds of an attempt that was killed: to its last word, of which there is one every few
    seconds."""
    with log.open(encoding="utf-8") as lines:
        return max(0.0, log.stat().st_mtime - float(lines.readline().split()[0]))


def _last_line(log: Path) -> str:
    return log.read_text("utf-8", errors="replace").splitlines()[-1]
