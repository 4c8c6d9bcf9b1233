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
from .sender import Sender
from .target import Target

OPENED = 32
"""Connections that stand before the first request, at most."""


@dataclass(frozen=True)
class WorkerTask:
    """What a process is to send. texts: those that the plan's rows point into.

    connections: at most, of this process. timeout, slow_seconds: as Sender and Fault have them.
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
    """Take jobs until there is None; each starts at the moment that is told once it is ready."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends what the user interrupts
    while job := pipe.recv():
        load = WorkerLoad(job)
        pipe.send("ready")
        pipe.send(load.run(pipe.recv()))


class WorkerLoad:
    """A job, prepared: all requests' bytes are made, connections stand."""

    def __init__(self, job: WorkerTask) -> None:
        self._job = job
        self._payloads = _payloads(job)
        self._readers = [protocol.reader() for protocol in job.protocols]
        self._sender = Sender(job.target, job.connections, job.timeout)
        self._sender.open(OPENED)
        self._requests, self._texts = blank(job.plan)
        ends = job.plan.sizes.cumsum()
        self._firsts: list[int] = (ends - job.plan.sizes).tolist()
        self._due: list[float] = job.plan.due.tolist()
        self._protocols: list[int] = job.plan.protocols.tolist()
        self._labels: dict[str, int] = {}
        self._students: dict[str, int] = {}
        self._start = 0.0

    def run(self, start: float) -> Records:
        """Send everything at its moment; return when the last answer came or was given up.

        start: the moment from which the plan counts, as `time.monotonic` does.
        """
        self._start = start
        sender, due, lags = self._sender, self._due, self._requests.lag
        faults = self._job.plan.faults.tolist()
        gc.collect()
        gc.disable()  # nothing here is cyclic, and a collection would hold up what is due
        cpu = time.process_time()
        number, total = 0, len(due)
        while number < total or sender.busy:
            now = time.monotonic()
            while number < total and start + due[number] <= now:
                moment = start + due[number]
                exchange = Exchange(number, self._payloads[number], moment, self._done)
                lags[number] = now - moment
                if faults[number] < 0:
                    sender.submit(exchange)
                else:
                    fault = list(Fault)[faults[number]]
                    commit(sender, fault, exchange, self._job.slow_seconds)
                number += 1
                now = time.monotonic()
            sender.step(start + due[number] if number < total else now + 1.0)
        cpu = time.process_time() - cpu
        gc.enable()
        sender.close()
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


def _payloads(job: WorkerTask) -> list[bytes]:
    """Bytes of each request, made once where requests are the same."""
    made: dict[tuple[int, bytes], bytes] = {}
    payloads, first, rows = [], 0, job.plan.rows
    for which, size in zip(job.plan.protocols.tolist(), job.plan.sizes.tolist(), strict=True):
        chosen = rows[first : first + size]
        key = (which, chosen.tobytes())
        if key not in made:
            texts = [job.texts[row] for row in chosen]
            made[key] = job.protocols[which].request(job.target, texts, job.model)
        payloads.append(made[key])
        first += size
    return payloads
