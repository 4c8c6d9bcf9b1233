"""What arrives at one of many replicas: a random share of the busiest stretch of a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..loadtest.errors import check_above
from ..loadtest.traffic.arrivals import arrivals
from ..loadtest.traffic.rates import Rate, steps
from ..loadtest.traffic.spacing import Spacing
from ..loadtest.traffic.traces import Trace

ENOUGH = 100
"""Arrivals that a piece of a trace holds on average: in shorter ones, chance looks like a burst."""


@dataclass(frozen=True)
class Shape:
    """How a rate changes over time. relative: a rate of mean 1.

    name: of the trace. begin: of the stretch, in the trace's seconds. peak: its mean rate over that
    of the whole trace.
    """

    name: str
    relative: Rate
    begin: float = 0.0
    peak: float = 1.0

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.relative.seconds

    def moments(self, rate: float, rng: np.random.Generator, least: int = 0) -> NDArray[np.float64]:
        """Arrivals at one replica whose mean rate over the stretch is this; seconds, ascending.

        least: the stretch is repeated until so many arrivals are expected.

        Requests of many independent clients, which a balancer deals out at random, are a Poisson
        process, however their rate changes (Kingman, Poisson Processes, 1993, ch. 5: colouring).
        """
        times, expected = self.relative.times, self.relative.expected
        again = np.arange(max(1, math.ceil(least / (rate * self.seconds))))[:, None]
        moments: NDArray[np.float64] = (again * times[-1] + times[1:]).ravel()
        totals: NDArray[np.float64] = (again * expected[-1] + expected[1:]).ravel() * rate
        zero = np.zeros(1)
        scaled = Rate(np.concatenate((zero, moments)), np.concatenate((zero, totals)))
        return arrivals(scaled, Spacing.POISSON, rng)


def steady(seconds: float) -> Shape:
    """A constant rate."""
    check_above("seconds", seconds, 0)
    return Shape("none: a constant rate, Poisson arrivals", steps([1.0], seconds))


def busiest(trace: Trace, seconds: float) -> Shape:
    """The stretch of a trace with the most arrivals; the whole of one that is not longer."""
    check_above("seconds", seconds, 0)
    counts, width = _pieces(trace)
    length = min(len(counts), max(1, round(seconds / width)))
    sums = np.convolve(counts, np.ones(length), "valid")
    first = int(sums.argmax())
    stretch = counts[first : first + length]
    times = np.linspace(0.0, length * width, length + 1)
    mean = stretch.mean()
    expected = np.append(np.zeros(1), np.cumsum(stretch / mean) * width)
    return Shape(trace.name, Rate(times, expected), first * width, float(mean / counts.mean()))


def _pieces(trace: Trace) -> tuple[NDArray[np.float64], float]:
    """Arrivals in pieces of equal length, and that length in seconds, whole ones."""
    if trace.counts is not None:
        width = min(_width(float(trace.counts.mean())), len(trace.counts))
        whole = len(trace.counts) // width * width
        return trace.counts[:whole].reshape(-1, width).sum(axis=1), float(width)
    assert trace.moments is not None
    width = _width(len(trace.moments) / trace.seconds)
    pieces = max(1, int(trace.seconds // width))
    counts, _ = np.histogram(trace.moments, pieces, (0.0, float(pieces * width)))
    return counts.astype(np.float64), float(width)


def _width(per_second: float) -> int:
    return max(1, int(np.ceil(ENOUGH / per_second)))
