"""How far each group is from breaking a promise, and what half the risk would take of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..cascade.group import GroupEvidence
from ..cascade.policy import Guarantee
from .net import net_test
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
    found = [_standing(each, guarantee) for each in guarantee.groups]
    return sorted(found, key=lambda each: -each.bound)


def _standing(group: GroupEvidence, guarantee: Guarantee) -> GroupStanding:
    alpha, confidence = guarantee.alpha, guarantee.confidence
    losses, recovered = np.array(group.losses), np.array(group.recovered)
    if guarantee.loss == "net":  # how many texts half of it takes, is not worked out
        test = net_test(group.examples, alpha, confidence)
        bound = float(test.upper_bounds(losses, recovered))
        return GroupStanding(group, int(test.allowed(recovered)), bound, None)
    return GroupStanding(
        evidence=group,
        allowed=losses_allowed(group.examples, alpha, confidence),
        bound=float(upper_bounds(losses, group.examples, confidence)),
        needed=texts_for(group.observed_risk, alpha / 2, confidence),
    )
