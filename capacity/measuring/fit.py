"""Costs that explain what loads have cost: least squares without negative costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ..profile.costs import (
    ClientCosts,
    Costs,
    EngineCosts,
    LoopCosts,
    Speeds,
    StudentCost,
    WorkerCosts,
)
from .loads import ObservedLoad

COOLINGS: tuple[float, ...] = tuple(np.geomspace(3e-4, 3e-2, 21).tolist())
"""Seconds that are tried."""
FACTORS = 4
"""Of a student: fixed, text, token, cold."""
WAKES = 4
"""Of a request that comes alone: loop, worker, loop again, client."""
ROUNDS = 10
"""Of reweighting, by which the fit becomes one of least absolute values, which a few disturbed
measurements leave cold (iteratively reweighted least squares; Holland and Welsch 1977).
"""


def fit(
    observed: Sequence[ObservedLoad],
    lengths: Sequence[int],
    tick: float,
    watch: float,
) -> tuple[Costs, list[dict[str, Any]]]:
    """Costs, and for each load what they predict beside what was measured.

    How fast caches cool, and whether the runner pads, are chosen so that the errors are smallest.
    lengths: tokens of each text of the data. tick: CPU seconds that the event loop spends each time
    that it looks at its load, every `watch` seconds.
    """
    tokens = np.array(lengths)
    candidates = [
        _Fit(observed, tokens, padded, tick, watch, cooling)
        for cooling in COOLINGS
        for padded in (False, True)
    ]
    best = min(candidates, key=lambda each: each.error)
    return best.costs(), best.table()


_Rests = Sequence[tuple[float, float]]
"""How often per request, and for how many seconds each time."""


@dataclass(frozen=True)
class _Solved:
    """factors: of the regressors. error: the mean relative one."""

    factors: list[float]
    fitted: NDArray[np.float64]
    error: float


class _Fit:
    """All costs, if caches cool as fast as given, and the runner pads or does not."""

    def __init__(
        self,
        observed: Sequence[ObservedLoad],
        lengths: NDArray[np.int64],
        padded: bool,
        tick: float,
        watch: float,
        cooling: float,
    ) -> None:
        self._observed, self._padded, self._tick = observed, padded, tick
        self._lengths, self._cooling = lengths, cooling
        self._pauses = [_Pauses.of(o, watch) for o in observed]
        self._students = list(dict.fromkeys(o.load.model for o in observed if o.load.alone))
        simple = [(o, p) for o, p in self._each() if o.load.model in self._students]
        self.loop = _solve(
            [
                [
                    1,
                    o.load.texts,
                    o.counts.batches / o.requests,
                    o.counts.texts / o.requests,
                    p.sleeps,
                    self._cold(p.loop),
                ]
                for o, p in self._each()
            ],
            [o.cpu.loop / o.requests - tick * p.cycle / watch for o, p in self._each()],
        )
        self.client = _solve(
            [[1, o.load.texts, self._cold(p.client)] for o, p in self._each()],
            [o.client / o.requests for o, _ in self._each()],
        )
        self.worker = _solve(
            [self._of_load(o, p) for o, p in simple],
            [o.cpu.worker / o.requests for o, _ in simple],
        )
        self.error = sum(each.error for each in (self.loop, self.worker))

    def _each(self) -> list[tuple[ObservedLoad, _Pauses]]:
        return list(zip(self._observed, self._pauses, strict=True))

    def _cold(self, pauses: _Rests) -> float:
        return sum(times * (1 - exp(-seconds / self._cooling)) for times, seconds in pauses)

    def _of(self, o: ObservedLoad, p: _Pauses, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Regressors of one batch: of its student 1, texts, tokens and rest; 0 of the others."""
        found = np.zeros((len(self._students), FACTORS))
        lengths = self._lengths[rows]
        tokens = lengths.max() * len(lengths) if self._padded else lengths.sum()
        found[self._students.index(o.load.model)] = 1, len(lengths), tokens, self._cold(p.worker)
        return found.ravel()

    def _of_load(self, o: ObservedLoad, p: _Pauses) -> NDArray[np.float64]:
        """The same for a request, on average. Where requests meet, it is not known which batch a
        text was in: the batches are taken to be equally large.
        """
        batches = np.array_split(o.rows.ravel(), round(o.counts.batches))
        found: NDArray[np.float64] = np.sum([self._of(o, p, each) for each in batches], axis=0)
        return found / o.requests

    def costs(self) -> Costs:
        """The costs that were found."""
        students = {}
        for name, (fixed, text, token, cold) in zip(
            self._students, np.reshape(self.worker.factors, (-1, FACTORS)).tolist(), strict=True
        ):
            students[name] = StudentCost(fixed, text, token, cold)
        worker = WorkerCosts(students, self._padded)
        request, of_text, client_cold = self.client.factors
        of_request, loop_text, batch, batch_text, waking, loop_cold = self.loop.factors
        return Costs(
            LoopCosts(of_request, loop_text, waking, loop_cold, self._tick),
            EngineCosts(batch, batch_text),
            worker,
            ClientCosts(request + of_text, client_cold),
            self._cooling,
            self._wake(),
            self._speeds(),
        )

    def _wake(self) -> float:
        """Seconds that requests which come alone wait, and that no CPU time explains."""
        wakes = []
        workers = iter(self.worker.fitted)
        for number, (o, p) in enumerate(self._each()):
            if o.load.model not in self._students:
                continue
            worker = next(workers)
            if not o.load.alone or not o.load.period:
                continue
            sending = self.client.fitted[number] / 2  # what reads the answer comes after it
            wakes.append((p.latency - self.loop.fitted[number] - worker - sending) / WAKES)
        return max(0.0, float(np.median(wakes)))

    def _speeds(self) -> Speeds:
        """Of the worker's core, while it had one batch after the other.

        The speed of a batch is its expected time over its measured one; the usual speed is the
        median over each load and its repeats.
        """
        alone = [(o, self._speed(o, p)) for o, p in self._each() if o.load.alone]
        usual = {
            load: np.median(np.concatenate([speed for o, speed in alone if o.load == load]))
            for load in {o.load for o, _ in alone}
        }
        seconds = np.concatenate([o.device for o, _ in alone])
        speed = np.concatenate([speed / usual[o.load] for o, speed in alone])
        return Speeds(_short(seconds), _short(speed))

    def _speed(self, o: ObservedLoad, p: _Pauses) -> NDArray[np.float64]:
        rows = np.array([self._of(o, p, each) for each in o.rows])
        found: NDArray[np.float64] = rows @ np.array(self.worker.factors) / o.device
        return found

    def table(self) -> list[dict[str, Any]]:
        """Microseconds, measured and fitted, of each load."""
        found, workers = [], iter(self.worker.fitted)
        for number, (o, _) in enumerate(self._each()):
            row: dict[str, Any] = {
                "model": o.load.model,
                "texts": o.load.texts,
                "period": o.load.period,
                "crowd": o.load.crowd,
                "stream": o.load.stream,
                "loop": _pair(o.cpu.loop / o.requests, self.loop.fitted[number]),
            }
            if o.load.model in self._students:
                row["worker"] = _pair(o.cpu.worker / o.requests, next(workers))
            found.append(row)
        return found


@dataclass(frozen=True)
class _Pauses:
    """How long each process is idle before it works for a request.

    cycle: seconds from one request to the next. latency: of a request. sleeps: of the event loop,
    for a request.
    """

    cycle: float
    latency: float
    sleeps: float
    loop: _Rests
    client: _Rests
    worker: _Rests

    @classmethod
    def of(cls, o: ObservedLoad, watch: float) -> _Pauses:
        cycle = o.seconds / o.requests
        latency = float(np.median(o.latency)) if o.load.period else cycle
        sleeps = max(0.0, o.cpu.sleeps / o.requests - cycle / watch)
        # A client sleeps before it sends and before it reads; one who sends at once, only once.
        wakes = 2 if o.load.period else 1
        client = ((wakes, max(0.0, cycle - o.client / o.requests) / wakes),)
        if not o.load.alone:  # known on the average only
            idle = max(0.0, cycle - o.cpu.loop / o.requests)
            loop = ((sleeps, idle / sleeps),) if sleeps else ()
            rest = max(0.0, (o.seconds - o.cpu.worker) / o.counts.batches)
            return cls(cycle, latency, sleeps, loop, client, ((1, rest),))
        batch = o.counts.seconds / o.counts.batches
        between = max(cycle - latency, o.client / o.requests)
        both = ((1, between), (1, batch))
        return cls(cycle, latency, sleeps, both, client, ((1, cycle - batch),))


def _solve(
    rows: Sequence[Sequence[float] | NDArray[np.float64]], values: Sequence[float]
) -> _Solved:
    """Factors, none below 0, by which the regressors explain the values: the relative errors are
    minimised.
    """
    target = np.array(values)
    matrix = np.array(rows, np.float64) / target[:, None]
    scale = np.ones(len(values))
    for _ in range(ROUNDS):
        factors, _ = nnls(matrix * scale[:, None], scale)
        errors = np.abs(matrix @ factors - 1)
        scale = 1 / np.sqrt(np.maximum(errors, 1e-2))
    return _Solved(factors.tolist(), matrix @ factors * target, float(errors.mean()))


def _short(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.3g}") for value in values.tolist())


def _pair(measured: float, fitted: float) -> list[float]:
    return [round(1e6 * measured, 1), round(1e6 * float(fitted), 1)]
