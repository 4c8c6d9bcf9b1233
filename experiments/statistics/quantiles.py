"""Quantiles of the latency, each with an interval between two values that were seen.

The number of values at or below the true p-quantile is binomial with rate p, so the confidence
sequence for a rate, turned round, is one for the quantile: it ends at the ranks whose share of
smaller values is not refuted to be p (Howard, Ramdas 2022, arXiv 1906.09712, on a fixed quantile).
Exact for independent requests, ties or not; several requests of one user are not independent, and
then the interval describes more than it proves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, lgamma, log

from .mean import Interval

PRIOR_TRIALS = 20.0
"""Weight of the Beta prior, centred on p."""


@dataclass(frozen=True)
class Quantile:
    """at: p. interval: holds the true one at all times at once."""

    at: float
    value: float
    interval: Interval


def quantile(p: float, n: int, value_at: Callable[[int], float], alpha: float) -> Quantile | None:
    """Of n values that are not negative; None of none.

    value_at: the value of a rank, 1 to n in ascending order, as a database finds it; asked at most
    three times. Raises ValueError for a p or an alpha outside (0, 1).
    """
    if not 0 < p < 1:
        raise ValueError(f"p: {p} is not between 0 and 1")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha} is not between 0 and 1")
    if not n:
        return None
    fewest, most = _counts_not_refuted(p, n, alpha)
    low = value_at(fewest) if fewest else 0.0
    high = value_at(most + 1) if most < n else inf
    return Quantile(p, value_at(ceil(p * n)), Interval(low, high))


def _counts_not_refuted(p: float, n: int, alpha: float) -> tuple[int, int]:
    """The fewest and the most of n values that may lie at or below the p-quantile.

    The evidence against p is convex in the count and least near n·p: two bisections.
    """
    a, b = PRIOR_TRIALS * p, PRIOR_TRIALS * (1 - p)
    constant = lgamma(a + b) - lgamma(a) - lgamma(b) - lgamma(a + b + n) + log(alpha)

    def refuted(count: int) -> bool:
        mixed = lgamma(a + count) + lgamma(b + n - count)
        return constant + mixed >= count * log(p) + (n - count) * log(1 - p)

    centre = round(n * p)
    fewest = bisect_left(range(centre), True, key=lambda count: not refuted(count))
    more = bisect_left(range(centre + 1, n + 1), True, key=refuted)
    return fewest, centre + more
