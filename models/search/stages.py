"""Which students make the cheapest cascade together, out of more than all subsets could be tried.

A beam search: the best cascades of one student before the TA, then the best that have one more of
any, and so on. What a set of stages costs, and with which thresholds, is the calibration's word
(`calibration.learn_then_test.plan_of`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..calibration.evidence import Evidence, Floats, outcome
from ..calibration.learn_then_test import MOST_STAGES, TestPlan, plan_of
from ..calibration.path import estimated_risk

BEAM = 6
"""Cascades that are continued."""
WORTH_A_STUDENT = 0.02
"""A student that the checkpoint does not have must lower the expected cost by at least this share:
it has to be loaded, too."""
WORTH_A_STAGE = 0.01
"""And any further stage by this one."""


@dataclass(frozen=True)
class PlannedCascade:
    """rows: of the evidence, that may answer; the TA last. thresholds: one of each."""

    rows: tuple[int, ...]
    thresholds: Floats

    def measured(self, evidence: Evidence) -> tuple[float, float]:
        """On some texts: its cost, as a share of the TA's, and the share of texts that it loses."""
        found = outcome(evidence.stages(self.rows), self.thresholds[None])
        cost = float(found.cost[0] / evidence.cost[-1].mean())
        return cost, float(found.losses[0] / evidence.texts)


def cheapest_stages(
    evidence: Evidence, tolerated: float, new: Collection[int] = ()
) -> PlannedCascade:
    """The cascade of least expected cost at a tolerated risk; the TA alone, where none is cheaper.

    evidence: of all students, the TA last. new: rows of those that would have to be added.
    """
    risk, last = estimated_risk(evidence), len(evidence.score) - 1
    best, best_price = PlannedCascade((last,), np.zeros(1)), float(evidence.cost[-1].mean())
    beam: list[tuple[int, ...]] = [()]
    for _ in range(MOST_STAGES - 1):
        longer = sorted(
            {tuple(sorted({*rows, k})) for rows in beam for k in range(last) if k not in rows}
        )
        plans = [plan_of(evidence, risk, (*rows, last), tolerated) for rows in longer]
        prices = [_price(plan, new) for plan in plans]
        order = np.argsort(prices, kind="stable")[:BEAM].tolist()
        if not order:
            break
        beam = [longer[index] for index in order]
        if prices[order[0]] < best_price:
            chosen = plans[order[0]]
            best, best_price = _cascade(evidence, risk, chosen, tolerated), prices[order[0]]
    return best


def _price(plan: TestPlan, new: Collection[int]) -> float:
    further, added = len(plan.stages) - 2, sum(row in new for row in plan.stages)
    return plan.expected_cost * (1 + WORTH_A_STAGE) ** further * (1 + WORTH_A_STUDENT) ** added


def _cascade(evidence: Evidence, risk: Floats, plan: TestPlan, tolerated: float) -> PlannedCascade:
    """The vector of the plan that costs what it expects, without the stages that never answer."""
    stages = list(plan.stages)
    expected = outcome(evidence.stages(stages), plan.vectors, risk[stages])
    safe = expected.losses <= max(tolerated * evidence.texts, expected.losses[0])
    cost = np.where(safe, expected.cost, np.inf)
    vector = plan.vectors[int(cost.argmin())]
    used = [k for k in range(len(stages)) if vector[k] < 1]
    return PlannedCascade(tuple(stages[k] for k in used), vector[used])
