"""The line that a random walk crosses with probability at most α, ever.

For a sum S with mean zero and variance V, mixing the likelihood ratios exp(λS − λ²V/2) over
λ ~ Normal(0, 1/r) gives

    M = √(r / (V + r)) · exp( S² / (2(V + r)) ),

a non-negative martingale for normal increments; by Ville's inequality it exceeds 1/α with
probability at most α over all times at once (Robbins 1970; Howard et al. 2021, arXiv 1810.08240,
section 3.2). For other increments of finite variance, with the variance estimated, the same holds
in the limit of a late first look: asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha,
Kennedy, Ramdas 2024, arXiv 2103.06476; their ρ² is 1/r here).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from math import exp, inf, log, sqrt

MOST_UNITS = 10**12


@dataclass(frozen=True)
class Mixture:
    """alpha: the chance to be wrong, ever. best_at: the number of units at which the interval is
    meant to be narrowest; fixed before the first look, it never makes the interval wrong.

    Raises ValueError that names field, value and limit.
    """

    alpha: float
    best_at: float

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha: {self.alpha} is not between 0 and 1")
        if not 1 <= self.best_at <= MOST_UNITS:
            raise ValueError(f"best_at: {self.best_at} is not between 1 and {MOST_UNITS}")

    @cached_property
    def precision(self) -> float:
        """r, in units (arXiv 1810.08240, on tuning; nearly optimal, without Lambert's W)."""
        twice = -2 * log(self.alpha)
        return self.best_at / (twice + log(1 + twice))

    def standard_errors(self, n: float) -> float:
        """The half-width after n units, in standard errors of the estimate."""
        r = self.precision
        return sqrt((1 + r / n) * (log(1 + n / r) - 2 * log(self.alpha)))

    def log_evidence(self, z: float, n: float) -> float:
        """ln M of an estimate that is z standard errors from what is tested."""
        r = self.precision
        return 0.5 * (z * z * n / (n + r) - log(1 + n / r))

    def p_value(self, z: float, n: float) -> float:
        """At most x with probability at most x, however often one looks. Below alpha exactly when
        the interval leaves out what is tested.
        """
        return exp(min(0.0, -self.log_evidence(z, n)))

    def units(self, half_width: float, spread: float) -> float:
        """After how many units the half-width has fallen to this. inf: beyond 10¹².

        spread: the variance of the estimate, times the number of units it rests on.
        """
        if not half_width > 0:
            raise ValueError(f"half_width: {half_width} is not above 0")

        def narrow(n: int) -> bool:
            return self.standard_errors(n) * sqrt(spread / n) <= half_width

        first = 1 + bisect_left(range(1, MOST_UNITS + 1), True, key=narrow)
        return first if first <= MOST_UNITS else inf
