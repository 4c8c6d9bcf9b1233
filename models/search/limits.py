"""What a search is asked for: how much a cascade may lose, and what a student may cost."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import NestlingError
from ..nested.spec import StudentSpec
from .costs import StudentCosts

OBSERVED = 0.5
"""Of the promised risk: about what a calibration on a thousand texts or two lets be observed."""
MOST_COST = 0.5
"""Of the TA's cost: who costs more saves little, and takes long to ask."""


@dataclass(frozen=True)
class SearchLimits:
    """max_drop: the share of texts that a cascade may lose against the TA. max_cost: of a student,
    as a share of the TA's cost. latency: seconds of a student for one text. None is no limit.
    """

    costs: StudentCosts
    max_drop: float
    max_cost: float | None = None
    latency: float | None = None

    @property
    def of_students(self) -> bool:
        """Whether a single student has to keep one."""
        return self.max_cost is not None or self.latency is not None

    @property
    def tolerated(self) -> float:
        """The share of texts that may be seen to be lost, so that a calibration passes it."""
        return OBSERVED * self.max_drop

    def allow(self, spec: StudentSpec) -> bool:
        """Whether a student keeps them."""
        most = MOST_COST if self.max_cost is None else self.max_cost
        if self.costs.share(spec) > most:
            return False
        took = self.costs.latency(spec)
        return self.latency is None or took is None or took <= self.latency

    def check(self, smallest: StudentSpec) -> None:
        """Raises NestlingError where not even the smallest student that is tried keeps them."""
        share, took = self.costs.share(smallest), self.costs.latency(smallest)
        if self.max_cost is not None and share > self.max_cost:
            raise NestlingError(
                f"max-cost: {self.max_cost:g} is below what one layer of the least width "
                f"that is tried costs, {share:.2g} of the TA's"
            )
        if self.latency is not None and took is not None and took > self.latency:
            raise NestlingError(
                f"latency-ms: {1e3 * self.latency:g} is below what one layer of the least width "
                f"that is tried takes, {1e3 * took:.3g}"
            )
