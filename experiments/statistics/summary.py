"""What a database keeps of many values: their number, mean and squared deviations.

One value per unit of randomisation, the mean over the unit's requests: requests of one user are
not independent, users are. Summaries of disjoint units merge (Chan, Golub, LeVeque 1983).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, isfinite, sqrt

LARGEST = 1e50
"""Of a value: products of squares, times any count, stay finite."""
ROUNDING = 1e-9
"""How far sums may lie beyond what is possible, relative to their size."""


def finite(value: float, name: str) -> float:
    """The value, if statistics can take it. Raises ValueError that names it otherwise."""
    if not -LARGEST <= value <= LARGEST:  # NaN is not, either
        raise ValueError(f"{name}: {value} is not a number from {-LARGEST:g} to {LARGEST:g}")
    return float(value)


@dataclass(frozen=True)
class Summary:
    """n values. mean: 0 of none. m2: the sum of squared deviations from the mean.

    Raises ValueError that names field, value and limit.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n: {self.n} is below 0")
        finite(self.mean, "mean")
        if not (isfinite(self.m2) and self.m2 >= 0):
            raise ValueError(f"m2: {self.m2} is not a finite number from 0 on")

    @classmethod
    def of(cls, values: Iterable[float]) -> Summary:
        """Raises ValueError for NaN, infinities and what is too large."""
        kept = [finite(value, f"values[{index}]") for index, value in enumerate(values)]
        if not kept:
            return cls()
        mean = fsum(kept) / len(kept)
        return cls(len(kept), mean, fsum((value - mean) ** 2 for value in kept))

    @property
    def variance(self) -> float:
        """Of one value, unbiased; 0 of fewer than two."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0

    @property
    def squared_error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.n if self.n else 0.0

    def merge(self, other: Summary) -> Summary:
        """Of both sets of values."""
        n = self.n + other.n
        if not n:
            return self
        delta = other.mean - self.mean
        return Summary(
            n,
            self.mean + delta * (other.n / n),
            self.m2 + other.m2 + delta * delta * (self.n * other.n / n),
        )


@dataclass(frozen=True)
class Joint:
    """n units, each with two values: an outcome, and a covariate that was known before the
    experiment; or, in a pair, the treatment's value and the control's.

    cross: the sum of products of both deviations. Raises ValueError.
    """

    outcome: Summary = Summary()
    covariate: Summary = Summary()
    cross: float = 0.0

    def __post_init__(self) -> None:
        if self.outcome.n != self.covariate.n:
            raise ValueError(f"covariate: {self.covariate.n} for {self.outcome.n} outcomes")
        most = sqrt(self.outcome.m2) * sqrt(self.covariate.m2)
        if not abs(self.cross) <= most * (1 + ROUNDING) + ROUNDING:
            raise ValueError(f"cross: {self.cross} is not between {-most} and {most}")

    @classmethod
    def of(cls, outcomes: Iterable[float], covariates: Iterable[float]) -> Joint:
        """Raises ValueError, also for lists of different lengths."""
        pairs = list(zip(outcomes, covariates, strict=True))
        outcome = Summary.of(y for y, _ in pairs)
        covariate = Summary.of(x for _, x in pairs)
        cross = fsum((y - outcome.mean) * (x - covariate.mean) for y, x in pairs)
        return cls(outcome, covariate, cross)

    @property
    def n(self) -> int:
        return self.outcome.n

    @property
    def difference(self) -> Summary:
        """Of outcome − covariate, unit by unit."""
        m2 = self.outcome.m2 + self.covariate.m2 - 2 * self.cross
        return Summary(self.n, self.outcome.mean - self.covariate.mean, max(0.0, m2))

    def merge(self, other: Joint) -> Joint:
        """Of both sets of units."""
        n = self.n + other.n
        if not n:
            return self
        shifts = (other.outcome.mean - self.outcome.mean) * (
            other.covariate.mean - self.covariate.mean
        )
        return Joint(
            self.outcome.merge(other.outcome),
            self.covariate.merge(other.covariate),
            self.cross + other.cross + shifts * (self.n * other.n / n),
        )
