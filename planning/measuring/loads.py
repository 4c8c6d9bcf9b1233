"""The loads of a measurement, and what each cost the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...loadtest.bench import Bench
from ...loadtest.client.protocols import PROTOCOLS
from ...loadtest.client.records import Records
from ...loadtest.client.target import find
from ...loadtest.setup import Setup
from ...loadtest.texts import Texts
from ...server.routing.policy import AUTO
from ..errors import PlanError
from .server import Counts, Cpu, MeasuredServer, place

SIZES = (1, 4, 16, 64)
"""Texts of a batch."""
PERIODS = (0.004, 0.008, 0.02, 0.05)
"""Seconds from one request to the next, of a server that sleeps between them."""
SECONDS = 0.6
"""That a load lasts, about."""
LEAST, MOST = 6, 400
"""Requests of a load."""
CROWDS = (16, 64)
"""Connections that keep the event loop busy without a pause."""


@dataclass(frozen=True)
class Load:
    """model, texts: of each request. period: seconds from one to the next; 0: at once, when the
    last one is answered. crowd: so many at a time.
    """

    model: str
    texts: int
    period: float = 0.0
    crowd: int = 1


@dataclass(frozen=True)
class Observed:
    """A load, and what it cost the server. seconds: that it lasted. client: its CPU seconds.

    latency: (requests,) seconds. rows: (requests, texts) of the data. device:
    (requests,) seconds that the worker says it took.
    """

    load: Load
    cpu: Cpu
    counts: Counts
    seconds: float
    requests: int
    client: float
    latency: NDArray[np.float64]
    rows: NDArray[np.int32]
    device: NDArray[np.float64]


class Loads:
    """Sends loads to a server, from the core of its worker."""

    def __init__(self, server: MeasuredServer, texts: Texts, seed: int) -> None:
        self._server = server
        self._rng = np.random.default_rng(seed)
        self._setup = Setup(
            find(server.url), texts, PROTOCOLS, {"native": 1.0}, processes=1, max_lag_ms=1e6
        )

    def all(self, students: Sequence[str], rounds: int) -> Iterator[Observed]:
        """Every student with every size, pauses of every length, and crowds; round by round.

        A crowd that asks for `auto` shows what a text's further stages cost the event loop.
        """
        smallest = students[0]
        alone = [Load(student, size) for student in students for size in SIZES]
        alone += [Load(smallest, 1, period) for period in PERIODS]
        alone += [Load(student, 1, period) for student in students[1:] for period in PERIODS[2:]]
        crowds = [Load(model, 1, 0.0, crowd) for model in (smallest, AUTO) for crowd in CROWDS]
        for _ in range(rounds):
            with self.bench(1) as bench:
                for load in alone:
                    yield self.observe(bench, load)
            for load in crowds:
                with self.bench(load.crowd) as bench:
                    yield self.observe(bench, load)

    @contextmanager
    def bench(self, connections: int) -> Iterator[Bench]:
        """A client, as long as the context."""
        with Bench(replace(self._setup, connections=connections)) as bench:
            place(bench.pids[0], self._server.worker_cores, client=True)
            yield bench

    def observe(self, bench: Bench, load: Load) -> Observed:
        """Send a load. Raises PlanError where something was not answered."""
        bench.setup = replace(bench.setup, batches={str(load.texts): 1.0})
        self._send(bench, load, LEAST * load.crowd)  # warms up
        trial = self._send(bench, load, LEAST * load.crowd)
        each = float(trial.window) / len(trial)
        count = round(min(max(SECONDS / max(each, load.period), LEAST), MOST) * load.crowd**0.5)
        counts, cpu = self._server.counts(), self._server.cpu()
        records = self._send(bench, load, count)
        cpu = self._server.cpu().since(cpu)
        counts = self._server.counts().since(counts)
        if not (records.requests.status == 200).all():
            raise PlanError(f"measure: a request to {load.model} was not answered")
        shape = (count, load.texts)
        return Observed(
            load,
            cpu,
            counts,
            records.window,
            count,
            records.cpu_seconds,
            records.requests.latency.astype(np.float64),
            records.texts.row.reshape(shape),
            records.texts.seconds.astype(np.float64).reshape(shape).sum(axis=1),
        )

    def _send(self, bench: Bench, load: Load, count: int) -> Records:
        due = np.linspace(0.0, (count - 1) * load.period, count)
        return bench.send(due, self._rng, load.model)[0]
