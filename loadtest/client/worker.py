"""One process of the client: it sends its share of a plan, and records the results."""

from __future__ import annotations

import gc
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from ..texts import TextOrPair
from .connection import Exchange
from .faults import Fault, commit
from .plan import SendPlan
from .protocols import Headers, Protocol
from .recorder import Recorder, read_answer
from .records import Records
from .send_loop import SendLoop
from .target import Target

OPENED = 32
"""The most connections that are opened before the first request."""


@dataclass(frozen=True)
class WorkerTask:
    """What one process is to send.

    texts: those that the plan's rows refer to. connections: the most that this process opens.
    timeout: as of SendLoop. slow_seconds: as of `commit`.
    """

    target: Target
    protocols: tuple[Protocol, ...]
    model: str
    texts: tuple[TextOrPair, ...]
    plan: SendPlan
    connections: int
    timeout: float
    slow_seconds: float


def work(pipe: Pipe) -> None:
    """Carry out tasks from the pipe until one is None.

    Once a task is prepared, the pipe brings the moment at which it starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends what the user interrupts
    while task := pipe.recv():
        load = WorkerLoad(task)
        pipe.send("ready")
        pipe.send(load.run(pipe.recv()))


class WorkerLoad:
    """A prepared task: the bytes of all requests are made, and connections are open."""

    def __init__(self, task: WorkerTask) -> None:
        self._task = task
        self._payloads = _payloads(task)
        self._readers = [protocol.reader() for protocol in task.protocols]
        self._protocols: list[int] = task.plan.protocols.tolist()
        self._sizes: list[int] = task.plan.sizes.tolist()
        self._recorder = Recorder(task.plan)
        self._loop = SendLoop(task.target, task.connections, task.timeout)
        self._loop.open(OPENED)

    def run(self, start: float) -> Records:
        """Send each request when it is due; return once all are answered or given up.

        start: the moment from which the plan counts, on the clock of `time.monotonic`.
        """
        loop, lags = self._loop, self._recorder.requests.lag
        due: list[float] = self._task.plan.due.tolist()
        faults: list[int] = self._task.plan.faults.tolist()
        gc.collect()
        gc.disable()  # no cycles are made here, and a collection would delay requests
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
        return self._recorder.records(cpu, time.monotonic() - start)

    def _done(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        latency = time.monotonic() - exchange.due
        number = exchange.number
        read = self._readers[self._protocols[number]]
        status, answer = read_answer(read, status, headers, body, self._sizes[number])
        self._recorder.keep(number, latency, status, answer)


def _payloads(task: WorkerTask) -> list[bytes]:
    """The bytes of each request; equal requests share them."""
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
