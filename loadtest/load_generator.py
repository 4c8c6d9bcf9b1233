"""Sends loads to a server; a run in which the client itself was late is refused."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .client.plan import make_plan
from .client.records import Records
from .client.worker_pool import WorkerPool
from .errors import FellBehindError, LoadtestError
from .results import energy
from .setup import Setup
from .traffic.arrivals import arrivals
from .traffic.rates import steps
from .traffic.spacing import Spacing


class LoadGenerator:
    """Client processes that are kept for several runs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._pool = WorkerPool(
            setup.target,
            setup.texts.texts,
            setup.processes,
            setup.connections,
            setup.timeout,
            setup.slow_seconds,
        )

    def __enter__(self) -> LoadGenerator:
        self._pool.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._pool.__exit__(kind, error, tb)

    @property
    def pids(self) -> list[int]:
        """The ids of the client's processes."""
        return self._pool.pids

    def send(
        self,
        due: NDArray[np.float64],
        rng: np.random.Generator,
        model: str = "auto",
        warm_rate: float = 0.0,
        warmup: float = 0.0,
    ) -> tuple[Records, dict[str, Any]]:
        """Send requests at these moments, after a warm-up; return the records, and the energy used.

        due: seconds, float64, ascending. warm_rate: requests per second of the warm-up. warmup: its
        seconds; the records leave it out. Raises FellBehindError if the client was late,
        LoadtestError if there is nothing to send.
        """
        setup = self.setup
        if not len(due):
            raise LoadtestError("rate: no request is due in so short a time")
        if warmup:
            warm = arrivals(steps([warm_rate], warmup), Spacing.POISSON, rng)
            due = np.concatenate((warm, due + warmup))
        plan = make_plan(due, len(setup.texts), setup.shares, setup.batches, setup.faults, rng)
        counted = energy.start(setup.target.local)
        records = self._pool.run(plan, setup.used, model)
        joules = counted.read(int((records.requests.status == 200).sum()))
        self._check(records)
        measured = records.where(records.requests.due >= warmup)
        requests = replace(measured.requests, due=measured.requests.due - warmup)
        return replace(measured, requests=requests), joules

    def _check(self, records: Records) -> None:
        late = 1e3 * float(np.quantile(records.requests.lag, 0.99)) if len(records) else 0.0
        if late > self.setup.max_lag_ms:
            raise FellBehindError(
                f"client: fell behind its own schedule: p99 of its lag is {late:.1f} ms, the limit "
                f"--max-lag-ms {self.setup.max_lag_ms:g}. Nothing is reported: the latencies would "
                f"be the client's. More --processes, a lower --rate, or an idle machine help"
            )
