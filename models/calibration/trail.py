"""The path that a calibration tested: what safety costs on it, and what cheapness risks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence, Floats, outcome
from .learn_then_test import TestPlan, Walk
from .net import NetTest
from .risk import upper_bounds


@dataclass(frozen=True)
class Trail:
    """One entry per vector of thresholds, from the safest to the cheapest.

    rows: of the evidence, the students of the vectors' columns; the TA last. vectors: (vectors,
    stages). cost: (vectors,), mean per text over all texts, as a share of the TA's alone. shares:
    (vectors, stages), of all texts that each stage answers. losses, recovered: (vectors,), among
    the texts that test, so many as `tested`. net: what tested a net risk; None for the others, of
    which nothing is recovered. accepted: so many vectors passed; the next one did not, and
    ended the walk. chosen: the index of the one that serves. confidence: with which each was
    tested.
    """

    rows: tuple[int, ...]
    vectors: Floats
    cost: Floats
    shares: Floats
    losses: NDArray[np.int64]
    tested: int
    accepted: int
    chosen: int
    confidence: float
    recovered: NDArray[np.int64]
    net: NetTest | None

    @classmethod
    def of(
        cls,
        stages: Evidence,
        plan: TestPlan,
        walk: Walk,
        chosen: int,
        tested: int,
        confidence: float,
        net: NetTest | None = None,
    ) -> Trail:
        """stages: the evidence of the plan's stages, of all texts."""
        overall = outcome(stages, plan.vectors)
        return cls(
            rows=plan.stages,
            vectors=plan.vectors,
            cost=np.asarray(overall.cost / stages.cost[-1].mean()),
            shares=overall.shares,
            losses=walk.losses,
            tested=tested,
            accepted=walk.accepted,
            chosen=chosen,
            confidence=confidence,
            recovered=walk.recovered,
            net=net,
        )

    @property
    def risks(self) -> Floats:
        """(vectors,), observed among the texts that test."""
        return np.asarray((self.losses - self.recovered) / self.tested)

    @property
    def bounds(self) -> Floats:
        """(vectors,), what the true risk of each, taken by itself, is at most with `confidence`. A
        vector passes exactly if its bound is at most the risk that is promised.
        """
        if self.net is not None:
            return self.net.upper_bounds(self.losses, self.recovered)
        return upper_bounds(self.losses, self.tested, self.confidence)
