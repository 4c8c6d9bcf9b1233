"""The path that a calibration tested: what safety costs on it, and what cheapness risks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence, Floats, outcome
from .learn_then_test import TestPlan, Walk
from .risk import upper_bounds


@dataclass(frozen=True)
class Trail:
    """One entry per vector of thresholds, from the safest to the cheapest.

    rows: of the evidence, the students of the vectors' columns; the TA last. vectors: (vectors,
    stages). cost: (vectors,), mean per text over all texts, as a share of the TA's alone. shares:
    (vectors, stages), of all texts that each stage answers. losses, recovered: (vectors,), among
    the texts that test, so many as `tested`, (vectors,); only a net risk has recoveries. bounds:
    (vectors,), what the true risk of each, taken by itself, is at most with `confidence`; a vector
    passes exactly if that is at most the risk that is promised. accepted: so many vectors passed;
    the next one did not, and ended the walk. chosen: the index of the one that serves. confidence:
    with which each was tested. net: whether the risk is net. worst: (vectors,), where groups are
    promised the risk apart the name of the one that is nearest to breaking it, of which alone
    losses, recovered and tested are; else empty.
    """

    rows: tuple[int, ...]
    vectors: Floats
    cost: Floats
    shares: Floats
    losses: NDArray[np.int64]
    recovered: NDArray[np.int64]
    tested: NDArray[np.int64]
    bounds: Floats
    accepted: int
    chosen: int
    confidence: float
    net: bool
    worst: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        stages: Evidence,
        plan: TestPlan,
        walk: Walk,
        chosen: int,
        confidence: float,
    ) -> Trail:
        """stages: the evidence of the plan's stages, of all texts."""
        overall = outcome(stages, plan.vectors)
        losses, recovered, tested = walk.of_worst
        bounds = upper_bounds(losses, tested, confidence)
        for group, test in enumerate(walk.nets):
            own = walk.worst == group
            bounds[own] = test.upper_bounds(losses[own], recovered[own])
        names = stages.groups.names if stages.groups else None
        return cls(
            rows=plan.stages,
            vectors=plan.vectors,
            cost=np.asarray(overall.cost / stages.cost[-1].mean()),
            shares=overall.shares,
            losses=losses,
            recovered=recovered,
            tested=tested,
            bounds=bounds,
            accepted=walk.accepted,
            chosen=chosen,
            confidence=confidence,
            net=bool(walk.nets),
            worst=tuple(names[group] for group in walk.worst) if names else (),
        )

    @property
    def risks(self) -> Floats:
        """(vectors,), observed among the texts that test."""
        return np.asarray((self.losses - self.recovered) / self.tested)
