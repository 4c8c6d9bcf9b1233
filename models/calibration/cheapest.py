"""Which of the accepted vectors of thresholds serves: the cheapest; or why there is none."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, NestlingError
from .cost import COST_DIGITS
from .evidence import Evidence, Floats, outcome
from .groups import named
from .learn_then_test import TestPlan, Walk
from .risk import examples_needed
from .sizes import fewest_ordering, texts_in_all, texts_needed
from .target import RiskTarget


def end_of(vector: Floats) -> int:
    """The first stage that always answers; what comes after it is never asked."""
    return int(np.argmax(vector <= 0))


def cheapest(
    stages: Evidence, plan: TestPlan, walked: Walk, target: RiskTarget, known: int = 0
) -> int:
    """Index of the accepted vector of least cost over all the data.

    stages: the evidence of the plan's stages, of all texts. known: other texts that ordered. Raises
    NestlingError where nothing is cheaper than the TA, DataError where nothing cheaper was
    accepted, with what it would take.
    """
    alone = float(stages.cost[-1].mean())
    costs = np.round(outcome(stages, plan.vectors).cost / alone, COST_DIGITS)
    accepted = costs[: walked.accepted]
    if accepted.size and accepted.min() < 1:
        alike = np.flatnonzero(accepted == accepted.min())  # they route alike, the safest first
        return int(alike[np.argmin([end_of(vector) for vector in plan.vectors[alike]])])
    cheaper = np.flatnonzero(costs < 1)
    if not len(cheaper):
        raise NestlingError(
            "no cascade is cheaper than the TA on these data: no student answers enough texts "
            "with confidence for its share of the TA's cost"
        )
    first, whose = int(cheaper[0]), "the safest cascade that is cheaper than the TA"
    if not walked.accepted:  # only by rounding can the TA, which is tested first, lose too often
        first, whose = 0, "against the TA in float32, the TA alone in this precision"
    losses, recovered, tested = (int(of_all[first]) for of_all in walked.of_worst)
    where, groups = "", stages.groups
    if groups is not None:
        where = f" of {groups.column} {named(groups.names[walked.worst[first]])}"
    needed = examples_needed(losses / tested, target.alpha, target.confidence)
    if needed is not None:
        if groups is None:
            more = texts_needed(needed, target, known)
        else:
            more = texts_in_all(needed, fewest_ordering(len(groups.names)))
        advice = f"about {more:,} examples{where} would show it at this rate"
    elif losses - recovered < target.alpha * tested:
        advice = "more examples may show it"  # how many, is not worked out for a net risk
    else:
        advice = "the risk is too high for any number of examples"
    seen = f"{losses} losses" + (f" and {recovered} recoveries" if target.net else "")
    raise DataError(
        f"no thresholds keep the {target.loss} below {target.alpha:.2%} with "
        f"{target.confidence:.0%} confidence: {whose} has {seen} in {tested:,} texts{where} "
        f"({(losses - recovered) / tested:.2%}); {advice}"
    )
