"""Quantiles of the latency, from counts in bins that merge.

The number of values at or below the true p-quantile is binomial with rate p, so the confidence
sequence for a rate, turned round, is one for the quantile: it holds every value whose share of
smaller ones is not refuted to be p (Howard, Ramdas 2022, arXiv 1906.09712, on a fixed quantile).
Exact for independent requests, up to the bins; several requests of one user are not independent,
and then the interval describes more than it proves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, inf, lgamma, log

from .mean import Interval
from .summary import finite

GROWTH = 1.02
"""From one bin's upper end to the next: a quantile is right to within 2 %."""
SMALLEST = 1e-3
"""The upper end of bin 0, in ms."""
PRIOR_TRIALS = 20.0
"""Weight of the Beta prior, centred on p."""


def bin_of(milliseconds: float) -> int:
    """Raises ValueError for NaN, negative and infinite times."""
    if not finite(milliseconds, "latency_ms") >= 0:
        raise ValueError(f"latency_ms: {milliseconds} is below 0")
    if milliseconds <= SMALLEST:
        return 0
    return ceil(log(milliseconds / SMALLEST) / log(GROWTH))


@dataclass(frozen=True)
class Histogram:
    """counts: of requests, by bin."""

    counts: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, count in self.counts.items():
            if number < 0 or count < 0:
                raise ValueError(f"counts: {count} in bin {number}; neither may be below 0")

    @classmethod
    def of(cls, milliseconds: Iterable[float]) -> Histogram:
        """Raises ValueError for a time that is none."""
        counts: dict[int, int] = {}
        for value in milliseconds:
            number = bin_of(value)
            counts[number] = counts.get(number, 0) + 1
        return cls(counts)

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def merge(self, other: Histogram) -> Histogram:
        bins = self.counts.keys() | other.counts.keys()
        return Histogram({b: self.counts.get(b, 0) + other.counts.get(b, 0) for b in bins})

    def quantile(self, p: float) -> float | None:
        """The upper end, in ms, of the bin that holds it; None of no requests."""
        return self._at(ceil(p * self.n)) if self.n else None

    def interval(self, p: float, alpha: float) -> Interval:
        """Holds the true p-quantile at all times at once with probability at least 1 − alpha."""
        n = self.n
        fewest, most = _counts_not_refuted(p, n, alpha)
        low = 0.0 if fewest == 0 else self._at(fewest) / GROWTH
        high = inf if most >= n else self._at(most + 1)
        return Interval(low, high)

    def _at(self, rank: int) -> float:
        """The upper end of the bin with the value of this rank, from 1."""
        seen = 0
        for number in sorted(self.counts):
            seen += self.counts[number]
            if seen >= rank:
                return SMALLEST * GROWTH**number
        raise ValueError(f"rank: {rank} is above {seen}")


def _counts_not_refuted(p: float, n: int, alpha: float) -> tuple[int, int]:
    """The fewest and the most of n values that may lie at or below the p-quantile.

    The evidence against p is convex in the count and least near n·p: two bisections.
    """
    a, b = PRIOR_TRIALS * p, PRIOR_TRIALS * (1 - p)
    constant = lgamma(a + b) - lgamma(a) - lgamma(b) - lgamma(a + b + n) + log(alpha)

    def refuted(count: int) -> bool:
        mixed = lgamma(a + count) + lgamma(b + n - count)
        return constant + mixed >= count * log(p) + (n - count) * log(1 - p)

    def edge(outside: int, inside: int) -> int:
        if not refuted(outside):
            return outside
        while abs(outside - inside) > 1:
            middle = (outside + inside) // 2
            outside, inside = (middle, inside) if refuted(middle) else (outside, middle)
        return inside

    centre = round(n * p)
    return edge(0, centre), edge(n, centre)
