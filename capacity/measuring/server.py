"""A real server under measurement: where it runs, and what it has spent."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from ...loadtest.server_process import ServerProcess, serve_command
from ..errors import PlanError

PROC = Path("/proc")


@dataclass(frozen=True)
class Cpu:
    """CPU seconds so far: of the event loop's thread; of its process's others, which tokenise long
    requests; of the worker. sleeps: how often the event loop had nothing to do.
    """

    loop: float
    others: float
    worker: float
    sleeps: int

    def since(self, before: Cpu) -> Cpu:
        """What has been spent from then on."""
        return Cpu(
            self.loop - before.loop,
            self.others - before.others,
            self.worker - before.worker,
            self.sleeps - before.sleeps,
        )


@dataclass(frozen=True)
class Counts:
    """So far: batches, texts in them, seconds that they took as the engine saw it."""

    batches: float
    texts: float
    seconds: float

    def since(self, before: Counts) -> Counts:
        """What has come to it from then on."""
        return Counts(
            self.batches - before.batches,
            self.texts - before.texts,
            self.seconds - before.seconds,
        )


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
        super().__init__(serve_command(str(checkpoint), *flags))
        self.pid = self.process.pid
        children = (PROC / str(self.pid) / "task" / str(self.pid) / "children").read_text()
        self.worker = int(children.split()[0])
        place(self.pid, self.loop_core)
        place(self.worker, self.worker_cores)

    def cpu(self) -> Cpu:
        """What its processes have spent."""
        threads = _cpu_seconds(self.pid)
        loop = threads.pop(self.pid)
        worker = sum(_cpu_seconds(self.worker).values())
        return Cpu(loop, sum(threads.values()), worker, _sleeps(self.pid))

    def counts(self) -> Counts:
        """What its metrics say of batches. To ask costs the event loop some milliseconds."""
        counted = self._metrics()
        return Counts(
            counted["nestling_batch_texts_count"],
            counted["nestling_batch_texts_sum"],
            counted["nestling_inference_duration_seconds_sum"],
        )

    def _metrics(self) -> dict[str, float]:
        with urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line.startswith("nestling_"))
        return {name: float(value) for name, _, value in pairs}


def place(pid: int, cores: set[int], client: bool = False) -> None:
    """Have all threads of a process run on these cores alone, and before what else runs there.

    A client goes before all of them, in real time, so that it is never late. Where this user may
    not do that, all are equal, and what else the machine does is in the numbers.
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
