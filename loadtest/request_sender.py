"""Sends requests that are decided on one by one, from a thread of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from .client.connection import Exchange
from .client.plan import SendPlan
from .client.protocols import Answer, Headers
from .client.recorder import Recorder, read_answer
from .client.records import Records
from .client.send_loop import SendLoop
from .setup import Setup


@dataclass(frozen=True)
class ScheduledRequest:
    """A request that is to be sent.

    rows: of the texts. due: the moment from which its latency counts, on the clock of
    `time.monotonic`. done: is called when it has been answered or given up.
    """

    rows: Sequence[int]
    due: float
    done: Callable[[], None]


class RequestSender:
    """A context that sends requests in the order given, and records the results."""

    def __init__(self, setup: Setup, model: str) -> None:
        self._setup, self._model = setup, model
        self._protocol = setup.used[0]
        self._read = self._protocol.reader()
        self._scheduled: list[ScheduledRequest] = []
        self._ends: dict[int, tuple[float, int, Answer]] = {}
        self._inbox: deque[ScheduledRequest] = deque()
        self._bell, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        self._loop = SendLoop(setup.target, setup.connections, setup.timeout)
        self._loop.watch(self._ear, self)
        self._stopped = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._cpu = 0.0

    def send(self, request: ScheduledRequest) -> None:
        """Send a request. Any thread may call it."""
        self._inbox.append(request)
        self._bell.send(b"!")

    def __enter__(self) -> RequestSender:
        self.start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._bell.send(b"!")
        self._thread.join()
        self._loop.close()
        self._bell.close()
        self._ear.close()

    def ready(self, events: int) -> None:
        """Take the requests that have been handed over; as `LoadConnection.ready`."""
        self._ear.recv(65536)
        while self._inbox:
            request = self._inbox.popleft()
            texts = [self._setup.texts.texts[row] for row in request.rows]
            payload = self._protocol.request(self._setup.target, texts, self._model)
            self._scheduled.append(request)
            number = len(self._scheduled) - 1
            self._loop.submit(Exchange(number, payload, request.due, self._done))

    def records(self) -> Records:
        """The results of all requests, once the context has been left."""
        scheduled = self._scheduled
        sizes = np.array([len(request.rows) for request in scheduled], np.int32)
        zeros = np.zeros(len(scheduled), np.int16)
        due = np.array([request.due - self.start for request in scheduled])
        rows = np.array([row for request in scheduled for row in request.rows], np.int32)
        recorder = Recorder(SendPlan(due, zeros, zeros - 1, sizes, rows))
        for number in range(len(scheduled)):
            recorder.keep(number, *self._ends[number])
        latencies = [self._ends[number][0] for number in range(len(scheduled))]
        window = float(np.max(due + latencies, initial=0.0))
        return recorder.records(self._cpu, window)

    def _work(self) -> None:
        begun = time.thread_time()
        while not self._stopped or self._loop.busy:
            self._loop.step(time.monotonic() + 1.0)
        self._cpu = time.thread_time() - begun

    def _done(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        latency = time.monotonic() - exchange.due
        request = self._scheduled[exchange.number]
        ended = read_answer(self._read, status, headers, body, len(request.rows))
        self._ends[exchange.number] = (latency, *ended)
        request.done()
