"""The loads of a measurement, and what each cost the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...loadtest.client.protocols import PROTOCOLS
from ...loadtest.client.records import Records
from ...loadtest.client.target import find
from ...loadtest.load_generator import LoadGenerator
from ...loadtest.setup import Setup
from ...loadtest.texts import Texts
from ...models.progress import SILENT, Progress
from ...server.core.policies import AUTO
from ..errors import PlanError
from .server import Counts, Cpu, MeasuredServer, pin

SIZES = (1, 4, 16, 64)
"""Texts of a batch."""
PERIODS = (0.004, 0.008, 0.02, 0.05)
"""Seconds from one request to the next, of a server that sleeps between them."""
SECONDS = 0.6
"""That a load lasts, about."""
LEAST, MOST, MANY = 6, 400, 4000
"""Requests of a load; at most so many where they come alone, and where they meet."""
CROWDS = (4, 16, 64)
"""Connections, by which the event loop has less and less time to sleep."""
STREAMS = (0.15, 0.3, 0.45, 0.6)
"""Rates at which requests come by chance, as shares of what the largest crowd was answered."""


@dataclass(frozen=True)
class Load:
    """model, texts: of each request. period: seconds from one to the next; 0: at once, when the
    last one is answered. crowd: so many at a time. stream: share of STREAMS; requests come by
    chance (Poisson), each `period` seconds on the average.
    """

    model: str
    texts: int
    period: float = 0.0
    crowd: int = 1
    stream: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether no request meets another."""
        return self.crowd == 1 and not self.stream


@dataclass(frozen=True)
class ObservedLoad:
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

    def all(
        self, students: Sequence[str], rounds: int, progress: Progress = SILENT
    ) -> Iterator[ObservedLoad]:
        """Every student with every size, every period, crowds and streams; round by round.

        Where requests meet, a batch can be told from its requests, and sleeping from both; what
        asks for `auto` shows what a text's further stages cost the event loop.
        """
        smallest, largest = students[0], students[-1]
        alone = [Load(student, size) for student in students for size in SIZES]
        alone += [Load(smallest, 1, period) for period in PERIODS]
        alone += [Load(student, 1, period) for student in students[1:] for period in PERIODS[2:]]
        for number in range(rounds):
            phase = f"loads of round {number + 1} of {rounds}"
            with self._generator(1) as generator:
                for done, load in enumerate(alone):
                    progress.step(f"{phase}, one request at a time", done, len(alone))
                    yield self.observe(generator, load)
            for model in (smallest, largest, AUTO):
                progress.step(f"{phase}, crowds of {model}")
                for crowd in CROWDS:
                    with self._generator(crowd) as generator:
                        found = self.observe(generator, Load(model, 1, crowd=crowd))
                        yield found
                most = found.requests / found.seconds
                with self._generator(self._setup.connections) as generator:
                    for share in STREAMS:
                        yield self.observe(
                            generator, Load(model, 1, 1 / (share * most), stream=share)
                        )

    @contextmanager
    def _generator(self, connections: int) -> Iterator[LoadGenerator]:
        """A client, as long as the context."""
        with LoadGenerator(replace(self._setup, connections=connections)) as generator:
            pin(generator.pids[0], self._server.worker_cores, client=True)
            yield generator

    def observe(self, generator: LoadGenerator, load: Load) -> ObservedLoad:
        """Send a load. Raises PlanError where something was not answered."""
        generator.setup = replace(generator.setup, batches={str(load.texts): 1.0})
        self._send(generator, load, LEAST * load.crowd)  # warms up
        trial = self._send(generator, load, LEAST * load.crowd)
        each = float(trial.window) / len(trial)
        most = MOST if load.alone else MANY
        count = round(min(max(SECONDS / max(each, load.period), LEAST), most))
        counts, cpu = self._server.counts(), self._server.cpu()
        records = self._send(generator, load, count)
        cpu = self._server.cpu().since(cpu)
        counts = self._server.counts().since(counts)
        if not (records.requests.status == 200).all():
            raise PlanError(f"measure: a request to {load.model} was not answered")
        shape = (count, load.texts)
        return ObservedLoad(
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

    def _send(self, generator: LoadGenerator, load: Load, count: int) -> Records:
        gaps = self._rng.exponential(size=count) if load.stream else np.ones(count)
        due: NDArray[np.float64] = load.period * (np.cumsum(gaps) - gaps[0])
        return generator.send(due, self._rng, load.model)[0]
