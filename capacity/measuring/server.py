"""A real server that is measured: where it runs, and the CPU time that it has spent."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from operator import sub
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from ...loadtest.server_process import ServerProcess, serve_command
from ..errors import PlanError

PROC = Path("/proc")
COUNTED = (
    "nestling_batch_texts_count",
    "nestling_batch_texts_sum",
    "nestling_inference_duration_seconds_sum",
)
"""The metrics that `Counts` is read from, in its order."""


class Cpu(NamedTuple):
    """CPU seconds so far: of the event loop's thread; of its process's other threads, which
    tokenise long requests; of the worker. sleeps: how often the event loop had nothing to do.
    """

    loop: float
    others: float
    worker: float
    sleeps: int

    def since(self, before: Cpu) -> Cpu:
        """What has been spent from then on."""
        return Cpu(*map(sub, self, before))


class Counts(NamedTuple):
    """So far: batches, the texts in them, the seconds that they took by the engine's measure."""

    batches: float
    texts: float
    seconds: float

    def since(self, before: Counts) -> Counts:
        """What has been added from then on."""
        return Counts(*map(sub, self, before))


class MeasuredServer(ServerProcess):
    """`nestling serve` on a free port, its event loop and its worker on cores of their own.

    flags: further ones. loop_core, worker_cores: where they run; a client belongs on the latter.
    Raises PlanError on a system without Linux's `/proc`, or with less than two cores; LoadtestError
    if the server does not start.
    """

    def __init__(self, checkpoint: Path, *flags: str) -> None:
        if not (PROC / "self" / "schedstat").exists():
            raise PlanError("measure: reads CPU time from Linux's /proc, which is not here")
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise PlanError("measure: needs two cores, one for the event loop, one to compute")
        self.loop_core, self.worker_cores = {cores[0]}, set(cores[1:])
        super().__init__(serve_command(str(checkpoint), "--processes", "1", *flags))
        self.pid = self.process.pid
        children = (PROC / str(self.pid) / "task" / str(self.pid) / "children").read_text()
        self.worker = int(children.split()[0])
        pin(self.pid, self.loop_core)
        pin(self.worker, self.worker_cores)

    def cpu(self) -> Cpu:
        """What its processes have spent."""
        threads = _cpu_seconds(self.pid)
        loop = threads.pop(self.pid)
        worker = sum(_cpu_seconds(self.worker).values())
        return Cpu(loop, sum(threads.values()), worker, _sleeps(self.pid))

    def counts(self) -> Counts:
        """What its metrics say of batches. The question costs the event loop some milliseconds."""
        with urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        said = dict(line.rsplit(" ", 1) for line in lines if line.startswith(COUNTED))
        return Counts(*(float(said[name]) for name in COUNTED))


def pin(pid: int, cores: set[int], client: bool = False) -> None:
    """Run all threads of a process on these cores alone, with priority over what else runs there.

    A client has priority over all of them, in real time, so that it is never late. A user who lacks
    the right to do that gets equal priorities, and other work of the machine is in the numbers.
    """
    for task in (PROC / str(pid) / "task").iterdir():
        thread = int(task.name)
        os.sched_setaffinity(thread, cores)
        with suppress(PermissionError):
            if client:
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))
            else:
                os.setpriority(os.PRIO_PROCESS, thread, -20)


def _cpu_seconds(pid: int) -> dict[int, float]:
    """By thread; to the nanosecond, where `times` counts hundredths of a second."""
    found = {}
    for task in (PROC / str(pid) / "task").iterdir():
        found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def _sleeps(pid: int) -> int:
    """How often a process's first thread gave up its core, since it had to wait."""
    status = (PROC / str(pid) / "task" / str(pid) / "status").read_text()
    found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
    assert found
    return int(found[1])
