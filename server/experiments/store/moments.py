"""Means and squared deviations over units, and how parts of them add up.

Parts are merged by Chan, Golub and LeVeque (1983), eq. 2.1, which never subtracts large squares.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Moments:
    """Of one value per unit. m2: the sum of squared deviations from the mean."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @property
    def variance(self) -> float:
        """Unbiased; 0 for fewer than two units."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        if not n:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.n / n
        return Moments(n, mean, self.m2 + other.m2 + apart * apart * self.n * other.n / n)


@dataclass(frozen=True)
class Joint:
    """Of two values per unit, y and x. cross: the sum of the products of their deviations."""

    y: Moments = Moments()
    x: Moments = Moments()
    cross: float = 0.0

    def __add__(self, other: Joint) -> Joint:
        n = self.y.n + other.y.n
        if not n:
            return self
        apart = (other.y.mean - self.y.mean) * (other.x.mean - self.x.mean)
        cross = self.cross + other.cross + apart * self.y.n * other.y.n / n
        return Joint(self.y + other.y, self.x + other.x, cross)


@dataclass(frozen=True)
class Measured:
    """A metric of one variant. units: of all that have it. covaried: where there is a covariate."""

    units: Moments = Moments()
    covaried: Joint = Joint()

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.units + other.units, self.covaried + other.covaried)
