"""How far each group is from breaking a promise, and what half the risk would take of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cascade.group import GroupEvidence
from ..cascade.policy import Guarantee
from .outlook import texts_for
from .risk import losses_allowed, upper_bounds


@dataclass(frozen=True)
class GroupStanding:
    """allowed: losses among its texts that test at which it still passes. bound: what its risk,
    taken by itself, is at most with the confidence of the promise. needed: texts in all with which
    it would likely pass at half the risk; None if no number would do.
    """

    evidence: GroupEvidence
    allowed: int
    bound: float
    needed: int | None

    @property
    def name(self) -> str:
        return self.evidence.name

    @property
    def texts(self) -> int:
        return self.evidence.examples + self.evidence.ordering_examples


def standings(guarantee: Guarantee) -> list[GroupStanding]:
    """Of every group; the nearest to breaking the promise first."""
    alpha, confidence = guarantee.alpha, guarantee.confidence
    found = [
        GroupStanding(
            evidence=each,
            allowed=losses_allowed(each.examples, alpha, confidence),
            bound=float(upper_bounds(np.array(each.losses), each.examples, confidence)),
            needed=texts_for(each.observed_risk, alpha / 2, confidence),
        )
        for each in guarantee.groups
    ]
    return sorted(found, key=lambda each: -each.bound)
