"""How many requests per second arrive, and how the rate changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadtestError, check_above

GRID = 4096
"""The number of points at which a ramp's integral is kept."""


@dataclass(frozen=True)
class Rate:
    """The arrivals expected until each moment: `expected[i]` until `times[i]`, linear between,
    float64.

    times begins with 0 and ends with the duration in seconds.
    """

    times: NDArray[np.float64]
    expected: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.times[-1])

    @property
    def total(self) -> float:
        """Arrivals expected over the whole."""
        return float(self.expected[-1])

    @property
    def mean(self) -> float:
        """Arrivals per second."""
        return self.total / self.seconds


def parse_rate(given: str, seconds: float) -> Rate:
    """`200` is constant, `100,200,400` are steps of equal length, `50..400` is a ramp.

    Raises LoadtestError that names field and limit.
    """
    check_above("seconds", seconds, 0)
    if ".." in given:
        low, _, high = given.partition("..")
        return ramp(_number(low), _number(high), seconds)
    return steps([_number(part) for part in given.split(",")], seconds)


def steps(rates: list[float], seconds: float) -> Rate:
    """Each rate for an equal part of the time."""
    times = np.linspace(0, seconds, len(rates) + 1)
    return Rate(times, np.concatenate(([0.0], np.cumsum(rates))) * (seconds / len(rates)))


def ramp(low: float, high: float, seconds: float) -> Rate:
    """A rate that grows or falls linearly."""
    times = np.linspace(0, seconds, GRID)
    return Rate(times, low * times + (high - low) * times**2 / (2 * seconds))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise LoadtestError(
            f"rate: {text!r} is no number; 200 is constant, 100,200 are steps, 50..400 is a ramp"
        ) from error
    check_above("rate", value, 0)
    return value
