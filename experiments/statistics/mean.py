"""The mean of one variant, with an interval that holds at every look.

Rates: exact at any number of independent units, each of whose values stands still once it has been
counted: a unit that asks again moves its mean, and the more it does, the more the interval
describes what it otherwise proves. For values in [0, 1] with mean p the likelihood ratio of
`models.calibration.anytime`, (q/p)^x ((1 − q)/(1 − p))^(1 − x), is convex in x, so that its
expectation is at most that of a 0/1 variable, which is 1: the bound for counts holds for sums
(Hoeffding 1963, section 4; Howard et al. 2020, arXiv 1808.03204, on sub-Bernoulli processes).

Other means: asymptotic, from `MINIMUM_UNITS` units on. No interval for a mean of unbounded values
can be exact (Bahadur, Savage 1956).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from ...models.calibration.anytime import rate_bounds
from ..metrics import Kind
from .mixture import Mixture
from .summary import ROUNDING, Summary

MINIMUM_UNITS = 100
"""Of each variant; below it nothing asymptotic is shown."""
MINIMUM_EVENTS = 10
"""Of what is rarer, 0 or 1, where rates are compared; below it nothing is shown either."""
EVEN = (0.5, 0.5)
"""Beta(a, b) for a rate of which nothing is known."""


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def mean_interval(values: Summary, kind: Kind, mixture: Mixture) -> Interval | None:
    """None before anything can be said. Raises ValueError for a rate outside [0, 1]."""
    if kind is Kind.RATE:
        return rate_interval(values, mixture.alpha)
    if values.n < MINIMUM_UNITS:
        return None
    half = mixture.standard_errors(values.n) * sqrt(values.squared_error)
    return Interval(values.mean - half, values.mean + half)


def rate_interval(values: Summary, alpha: float, prior: tuple[float, float] = EVEN) -> Interval:
    """Of the mean of values in [0, 1]; exact for independent units. Raises ValueError."""
    if not -ROUNDING <= values.mean <= 1 + ROUNDING:
        raise ValueError(f"mean: {values.mean} is not between 0 and 1, as a rate is")
    total = min(max(0.0, values.mean * values.n), float(values.n))
    return Interval(*rate_bounds(total, values.n, alpha, prior))
