"""Runs of a load against a server, each summed up; what the client spoiled is refused."""

from __future__ import annotations

import time
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .client.fleet import Fleet
from .client.plan import Plan, make_plan
from .client.records import Records
from .client.worker import Job, Load
from .errors import FellBehindError, LoadtestError
from .results import energy
from .results.summary import Truth, outcomes, summarize
from .setup import Setup
from .traffic.arrivals import arrivals
from .traffic.rates import steps
from .traffic.spacing import Spacing

REFERENCE_CONNECTIONS, REFERENCE_BATCH = 4, 8
"""With which the reference is asked, after the load: gently."""


class Bench:
    """Client processes that stay for several runs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._fleet = Fleet(
            setup.target,
            setup.texts.texts,
            setup.processes,
            setup.connections,
            setup.timeout,
            setup.slow_seconds,
        )
        self._reference: NDArray[np.str_] | None = None

    def __enter__(self) -> Bench:
        self._fleet.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._fleet.__exit__(kind, error, tb)

    def send(
        self,
        due: NDArray[np.float64],
        rng: np.random.Generator,
        model: str = "auto",
        warm_rate: float = 0.0,
        warmup: float = 0.0,
    ) -> tuple[Records, dict[str, Any]]:
        """Send at these moments, after a warm-up which is not counted; the records, and energy.

        due: seconds, float64, ascending. warm_rate, warmup: requests per second, seconds. Raises
        FellBehindError if the client was late.
        """
        setup = self.setup
        if warmup:
            warm = arrivals(steps([warm_rate], warmup), Spacing.POISSON, rng)
            due = np.concatenate((warm, due + warmup))
        plan = make_plan(due, len(setup.texts), setup.shares, setup.batches, setup.faults, rng)
        counted = energy.start(setup.target.local)
        records = self._fleet.run(plan, setup.used, model)
        joules = counted.read(int((records.requests.status == 200).sum()))
        self._check(records)
        measured = records.where(records.requests.due >= warmup)
        requests = replace(measured.requests, due=measured.requests.due - warmup)
        return replace(measured, requests=requests), joules

    def summary(self, records: Records, seconds: float, joules: dict[str, Any]) -> dict[str, Any]:
        """What a report says of a run; asks the reference about texts that are new to it."""
        setup = self.setup
        truth = Truth(np.array(setup.texts.labels), self._asked(records))
        found = summarize(records, seconds, setup.objective_ms, truth, setup.price_per_hour)
        return found | {"energy": joules}

    def reference(self) -> dict[str, Any] | None:
        """How right the reference is on the texts that were sent."""
        if self._reference is None:
            return None
        known = self._reference != ""
        right = self._reference == np.array(self.setup.texts.labels)
        return {
            "model": self.setup.reference,
            "texts": int(known.sum()),
            "accuracy": float(right[known].mean()),
        }

    def _asked(self, records: Records) -> NDArray[np.str_] | None:
        setup = self.setup
        if setup.reference is None:
            return None
        if self._reference is None:
            longest = max(1, *(len(label) for label in setup.texts.labels))
            self._reference = np.full(len(setup.texts), "", f"<U{longest}")
        rows = np.unique(records.texts.row)
        rows = rows[self._reference[rows] == ""].astype(np.int32)
        if len(rows):
            labels = _labels_of(setup, rows)
            if labels.dtype.itemsize > self._reference.dtype.itemsize:
                self._reference = self._reference.astype(labels.dtype)
            self._reference[rows] = labels
        return self._reference

    def _check(self, records: Records) -> None:
        late = 1e3 * float(np.quantile(records.requests.lag, 0.99)) if len(records) else 0.0
        if late > self.setup.max_lag_ms:
            raise FellBehindError(
                f"client: fell behind its own schedule: p99 of its lag is {late:.1f} ms, the limit "
                f"--max-lag-ms {self.setup.max_lag_ms:g}. Nothing is reported: the latencies would "
                f"be the client's. More --processes, a lower --rate, or an idle machine help"
            )


def _labels_of(setup: Setup, rows: NDArray[np.int32]) -> NDArray[np.str_]:
    """The reference's labels of some texts."""
    assert setup.reference is not None
    sizes = np.full(-(-len(rows) // REFERENCE_BATCH), REFERENCE_BATCH, np.int32)
    sizes[-1] = len(rows) - sizes[:-1].sum()
    none = np.zeros(len(sizes), np.int16)
    plan = Plan(np.zeros(len(sizes)), none, none - 1, sizes, rows)
    job = Job(
        setup.target,
        setup.used[:1],
        setup.reference,
        setup.texts.texts,
        plan,
        REFERENCE_CONNECTIONS,
        timeout=max(600.0, setup.timeout),
        slow_seconds=setup.slow_seconds,
    )
    records = Load(job).run(time.monotonic())
    if (records.requests.status != 200).any():
        raise LoadtestError(
            f"reference: {setup.reference!r} did not answer every text: "
            f"{outcomes(records.requests.status)}; --reference none does without it"
        )
    return np.array(records.labels)[records.texts.label]
