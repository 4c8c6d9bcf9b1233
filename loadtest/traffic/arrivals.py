"""The moments at which requests are sent, whether or not earlier ones have been answered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import check_above
from .rates import Rate
from .spacing import Spacing


def arrivals(
    rate: Rate, spacing: Spacing, rng: np.random.Generator, burstiness: float = 4.0
) -> NDArray[np.float64]:
    """Seconds from the start, ascending.

    A renewal process of rate 1 is run through the inverse of the expected count (time rescaling:
    Cinlar, Introduction to Stochastic Processes, 1975, ch. 4), so that every spacing goes with
    every rate. burstiness: of bursts, the coefficient of variation of the gaps, which are Gamma;
    at 1 they are Poisson's. Raises LoadtestError for a burstiness of 0 or below.
    """
    check_above("burstiness", burstiness, 0)
    if spacing is Spacing.CONSTANT:
        ticks = np.arange(0.5, rate.total)
    elif spacing is Spacing.POISSON:
        ticks = np.sort(rng.uniform(0, rate.total, rng.poisson(rate.total)))
    else:
        ticks = _gamma(rate.total, burstiness, rng)
    moments: NDArray[np.float64] = np.interp(ticks, rate.expected, rate.times)
    return moments


def _gamma(total: float, cv: float, rng: np.random.Generator) -> NDArray[np.float64]:
    shape = cv**-2
    ticks = np.zeros(0)
    last = -rng.uniform() * rng.gamma(shape, 1 / shape)  # so that a run need not begin with a burst
    while last < total:
        more = last + np.cumsum(rng.gamma(shape, 1 / shape, int(total) + 64))
        ticks = np.concatenate((ticks, more))
        last = float(ticks[-1])
    return ticks[(ticks >= 0) & (ticks < total)]
