"""From what loads have cost to costs that explain them: least squares without negative costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..profile.costs import (
    ClientCosts,
    Costs,
    EngineCosts,
    LoopCosts,
    Pauses,
    StudentCost,
    WorkerCosts,
)
from .loads import Observed

COOLINGS: tuple[float, ...] = tuple(np.geomspace(3e-4, 3e-2, 21).tolist())
"""Seconds that are tried."""
QUANTILES = 100
CROWD = 8.0
"""Weight of a load that lets nobody rest: few of them show what a replica can do at most."""
FACTORS = 4
"""Of a student: fixed, text, token, cold."""
WAKES = 4
"""Of a request that comes alone: loop, worker, loop again, client."""
ROUNDS = 10
"""Of reweighting, by which the fit becomes one of least absolute values, which a few disturbed
measurements leave cold (iteratively reweighted least squares; Holland and Welsch 1977).
"""


def fit(
    observed: Sequence[Observed],
    lengths: Sequence[int],
    tick: float,
    watch: float,
    pauses: Pauses,
) -> tuple[Costs, list[dict[str, Any]]]:
    """Costs, and for each load what they make of it beside what was measured.

    How fast caches cool, and whether the runner pads, is what explains most. lengths: tokens of
    each text of the data. tick: CPU seconds of the event loop each time that it
    looks after itself, which is every `watch` seconds. pauses: of the machine.
    """
    tokens = np.array(lengths)
    candidates = [
        _Fit(observed, tokens, padded, tick, watch, cooling)
        for cooling in COOLINGS
        for padded in (False, True)
    ]
    best = min(candidates, key=lambda each: each.error)
    return best.costs(pauses), best.table()


@dataclass(frozen=True)
class _Solved:
    """factors: of the regressors. error: the mean relative one."""

    factors: list[float]
    fitted: NDArray[np.float64]
    error: float


class _Fit:
    """All costs, given how fast caches cool."""

    def __init__(
        self,
        observed: Sequence[Observed],
        lengths: NDArray[np.int64],
        padded: bool,
        tick: float,
        watch: float,
        cooling: float,
    ) -> None:
        self._observed, self._padded, self._tick = observed, padded, tick
        self._lengths, self._cooling = lengths, cooling
        self._pauses = [_Pauses.of(o) for o in observed]
        cold = self._cold
        weights = [CROWD if o.load.crowd > 1 else 1.0 for o in observed]
        alone = [(o, p) for o, p in self._each() if o.load.crowd == 1]
        self._students = list(dict.fromkeys(o.load.model for o, _ in alone))
        self.loop = _solve(
            [
                [
                    1,
                    o.load.texts,
                    o.counts.batches / o.requests,
                    o.counts.texts / o.requests,
                    cold(p.loop),
                ]
                for o, p in self._each()
            ],
            [o.cpu.loop / o.requests - tick * p.cycle / watch for o, p in self._each()],
            weights,
        )
        self.client = _solve(
            [[1, o.load.texts, cold(p.client)] for o, p in self._each()],
            [o.client / o.requests for o, _ in self._each()],
            weights,
        )
        self.worker = _solve(
            [np.mean([self._of(o, p, each) for each in o.rows], axis=0) for o, p in alone],
            [o.cpu.worker / o.requests for o, _ in alone],
        )
        self.error = sum(each.error for each in (self.loop, self.worker))

    def _each(self) -> list[tuple[Observed, _Pauses]]:
        return list(zip(self._observed, self._pauses, strict=True))

    def _cold(self, pauses: tuple[float, ...]) -> float:
        return sum(1 - exp(-pause / self._cooling) for pause in pauses)

    def _of(self, o: Observed, p: _Pauses, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Regressors of one batch: of its student 1, texts, tokens and rest; 0 of the others."""
        found = np.zeros((len(self._students), FACTORS))
        lengths = self._lengths[rows]
        tokens = lengths.max() * len(lengths) if self._padded else lengths.sum()
        found[self._students.index(o.load.model)] = 1, len(lengths), tokens, self._cold(p.worker)
        return found.ravel()

    def costs(self, pauses: Pauses) -> Costs:
        """What has been found."""
        students = {}
        for name, (fixed, text, token, cold) in zip(
            self._students, np.reshape(self.worker.factors, (-1, FACTORS)).tolist(), strict=True
        ):
            students[name] = StudentCost(fixed, text, token, cold, self._noise(name))
        worker = WorkerCosts(students, self._padded)
        request, of_text, client_cold = self.client.factors
        wake, noise = self._wake()
        of_request, loop_text, batch, batch_text, loop_cold = self.loop.factors
        return Costs(
            LoopCosts(of_request, loop_text, loop_cold, self._tick),
            EngineCosts(batch, batch_text),
            worker,
            ClientCosts(request + of_text, client_cold),
            self._cooling,
            wake,
            noise,
            pauses,
        )

    def _wake(self) -> tuple[float, tuple[float, ...]]:
        """What no CPU time explains of requests that come alone, and how their time varies."""
        wakes, ratios = [], []
        workers = iter(self.worker.fitted)
        for number, (o, p) in enumerate(self._each()):
            worker = next(workers) if o.load.crowd == 1 else 0.0
            if not o.load.period:
                continue
            sending = self.client.fitted[number] / 2  # what reads the answer comes after it
            wakes.append((p.latency - self.loop.fitted[number] - worker - sending) / WAKES)
            outside = o.latency - o.device
            ratios.append(outside / np.median(outside))
        wake = max(0.0, float(np.median(wakes)))
        return wake, _quantiles(np.concatenate(ratios))

    def _noise(self, student: str) -> tuple[float, ...]:
        """Of a student's single batches, against others with as many texts and tokens."""
        ratios = []
        for o, p in self._each():
            if o.load.crowd > 1 or o.load.model != student:
                continue
            rows = np.array([self._of(o, p, each) for each in o.rows])
            expected = rows @ np.array(self.worker.factors)
            ratio = o.device / expected
            ratios.append(ratio / np.median(ratio))
        return _quantiles(np.concatenate(ratios))

    def table(self) -> list[dict[str, Any]]:
        """Microseconds, measured and fitted, of each load."""
        found, workers = [], iter(self.worker.fitted)
        for number, (o, _) in enumerate(self._each()):
            row: dict[str, Any] = {
                "model": o.load.model,
                "texts": o.load.texts,
                "period": o.load.period,
                "crowd": o.load.crowd,
                "loop": _pair(o.cpu.loop / o.requests, self.loop.fitted[number]),
            }
            if o.load.crowd == 1:
                row["worker"] = _pair(o.cpu.worker / o.requests, next(workers))
            found.append(row)
        return found


@dataclass(frozen=True)
class _Pauses:
    """Seconds for which each has done nothing before it works for a request; none in a crowd.

    cycle: from one request to the next. latency: of a request.
    """

    cycle: float
    latency: float
    loop: tuple[float, ...] = ()
    worker: tuple[float, ...] = ()
    client: tuple[float, ...] = ()

    @classmethod
    def of(cls, o: Observed) -> _Pauses:
        cycle = o.seconds / o.requests
        latency = float(np.median(o.latency)) if o.load.period else cycle
        if o.load.crowd > 1:
            return cls(cycle, latency)
        batch = o.counts.seconds / o.counts.batches
        between = max(cycle - latency, o.client / o.requests)
        return cls(
            cycle,
            latency,
            (between, batch),
            (cycle - batch,),
            (between, latency),
        )


def _solve(
    rows: Sequence[Sequence[float] | NDArray[np.float64]],
    values: Sequence[float],
    weights: Sequence[float] | None = None,
) -> _Solved:
    """Factors, none below 0, by which the regressors explain the values: relative errors count.

    weights: of each; None for all the same.
    """
    from scipy.optimize import nnls  # heavy: only what calibrates or measures pays for it

    target = np.array(values)
    matrix = np.array(rows, np.float64) / target[:, None]
    given = np.ones(len(values)) if weights is None else np.array(weights, np.float64)
    scale = given
    for _ in range(ROUNDS):
        factors, _ = nnls(matrix * scale[:, None], scale)
        errors = np.abs(matrix @ factors - 1)
        scale = given / np.sqrt(np.maximum(errors, 1e-2))
    error = float(np.average(errors, weights=given))
    return _Solved(factors.tolist(), matrix @ factors * target, error)


def _quantiles(ratios: NDArray[np.float64]) -> tuple[float, ...]:
    found: list[float] = np.quantile(ratios, (np.arange(QUANTILES) + 0.5) / QUANTILES).tolist()
    return tuple(float(f"{value:.4g}") for value in found)


def _pair(measured: float, fitted: float) -> list[float]:
    return [round(1e6 * measured, 1), round(1e6 * float(fitted), 1)]
