"""One process of the client: sends its share of a plan, and keeps what comes."""

from __future__ import annotations

import gc
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from .connection import Exchange, Failure
from .faults import Fault, commit
from .plan import SendPlan
from .protocols import Headers, Protocol
from .records import Records, blank
from .send_loop import SendLoop
from .target import Target

OPENED = 32
"""Connections that stand before the first request, at most."""


@dataclass(frozen=True)
class WorkerTask:
    """What a process is to send. texts: those that the plan's rows point into.

    connections: at most, of this process. timeout, slow_seconds: as SendLoop and Fault have them.
    """

    target: Target
    protocols: tuple[Protocol, ...]
    model: str
    texts: tuple[str, ...]
    plan: SendPlan
    connections: int
    timeout: float
    slow_seconds: float


def work(pipe: Pipe) -> None:
    """Take tasks until there is None; each starts at the moment that is told once it is ready."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends what the user interrupts
    while task := pipe.recv():
        load = WorkerLoad(task)
        pipe.send("ready")
        pipe.send(load.run(pipe.recv()))


class WorkerLoad:
    """A task, prepared: all requests' bytes are made, connections stand."""

    def __init__(self, task: WorkerTask) -> None:
        self._task = task
        self._payloads = _payloads(task)
        self._readers = [protocol.reader() for protocol in task.protocols]
        self._loop = SendLoop(task.target, task.connections, task.timeout)
        self._loop.open(OPENED)
        self._requests, self._texts = blank(task.plan)
        ends = task.plan.sizes.cumsum()
        self._firsts: list[int] = (ends - task.plan.sizes).tolist()
        self._due: list[float] = task.plan.due.tolist()
        self._protocols: list[int] = task.plan.protocols.tolist()
        self._labels: dict[str, int] = {}
        self._students: dict[str, int] = {}
        self._start = 0.0

    def run(self, start: float) -> Records:
        """Send everything at its moment; return when the last answer came or was given up.

        start: the moment from which the plan counts, as `time.monotonic` does.
        """
        self._start = start
        loop, due, lags = self._loop, self._due, self._requests.lag
        faults = self._task.plan.faults.tolist()
        gc.collect()
        gc.disable()  # nothing here is cyclic, and a collection would hold up what is due
        cpu = time.process_time()
        number, total = 0, len(due)
        while number < total or loop.busy:
            now = time.monotonic()
            while number < total and start + due[number] <= now:
                moment = start + due[number]
                exchange = Exchange(number, self._payloads[number], moment, self._done)
                lags[number] = now - moment
                if faults[number] < 0:
                    loop.submit(exchange)
                else:
                    fault = list(Fault)[faults[number]]
                    commit(loop, fault, exchange, self._task.slow_seconds)
                number += 1
                now = time.monotonic()
            loop.step(start + due[number] if number < total else now + 1.0)
        cpu = time.process_time() - cpu
        gc.enable()
        loop.close()
        return Records(
            self._requests,
            self._texts,
            tuple(self._labels),
            tuple(self._students),
            cpu,
            time.monotonic() - start,
        )

    def _done(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        number = exchange.number
        requests = self._requests
        requests.latency[number] = time.monotonic() - exchange.due
        if status == 200:
            try:
                self._read(number, headers, body)
            except (ValueError, KeyError, IndexError, TypeError):
                status = Failure.UNREADABLE
        requests.status[number] = status

    def _read(self, number: int, headers: Headers, body: bytes) -> None:
        answer = self._readers[self._protocols[number]](headers, body)
        first = self._firsts[number]
        if len(answer.labels) != self._requests.sizes[number]:
            raise ValueError("not one label for each text")
        texts, labels, students = self._texts, self._labels, self._students
        for at, label in enumerate(answer.labels, first):
            texts.label[at] = labels.setdefault(label, len(labels))
        for at, student in enumerate(answer.students, first):
            texts.student[at] = students.setdefault(student, len(students))
        for at, cost in enumerate(answer.costs, first):
            texts.cost[at] = cost
        for at, seconds in enumerate(answer.seconds, first):
            texts.seconds[at] = seconds
        if answer.brownout:
            self._requests.brownout[number] = answer.brownout


def _payloads(task: WorkerTask) -> list[bytes]:
    """Bytes of each request, made once where requests are the same."""
    made: dict[tuple[int, bytes], bytes] = {}
    payloads, first, rows = [], 0, task.plan.rows
    for which, size in zip(task.plan.protocols.tolist(), task.plan.sizes.tolist(), strict=True):
        chosen = rows[first : first + size]
        key = (which, chosen.tobytes())
        if key not in made:
            texts = [task.texts[row] for row in chosen]
            made[key] = task.protocols[which].request(task.target, texts, task.model)
        payloads.append(made[key])
        first += size
    return payloads
