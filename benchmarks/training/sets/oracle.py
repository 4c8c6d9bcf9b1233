"""The oracle: the same students with the thresholds that are best on the test texts themselves.

Nobody can have them before the test is known; a calibration that keeps a promise costs at least as
much. They are exact. Among thresholds at which a stage loses the same number of texts, the lowest
is the best: what it answers more is answered rightly, sooner and cheaper than later. So for each
stage but the last of those with a threshold every number of losses is tried, and the last takes as
many texts as the losses that are left allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling.models.calibration.evidence import Evidence
from nestling.models.calibration.learn_then_test import MOST_STAGES
from nestling.models.calibration.path import subsets
from nestling.models.cascade.score import Score

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Best:
    """cost: mean per text, as a share of the TA's. stages: rows of the evidence. lost: texts that
    break.
    """

    cost: float
    stages: tuple[int, ...]
    lost: int
    score: Score


def oracle(evidence: Mapping[Score, Evidence], alpha: float) -> Best:
    """The cheapest cascade of at most `MOST_STAGES` of which at most a share `alpha` of the texts
    breaks; the TA alone where no other is cheaper. evidence: by score, of the same texts.
    """
    score, first = next(iter(evidence.items()))
    ta, alone = len(first.score) - 1, float(first.cost[-1].sum())
    found = Best(1.0, (ta,), 0, score)
    allowed = int(alpha * first.texts + 1e-9)
    for score, each in evidence.items():
        orders = [np.argsort(-row, kind="stable") for row in each.score]
        for stages in subsets(ta + 1, MOST_STAGES):
            inside = np.ones(each.texts, dtype=bool)
            cost, lost = _cheapest(each, orders, stages, inside, allowed)
            if cost / alone < found.cost:
                found = Best(cost / alone, stages, lost, score)
    return found


def _cheapest(
    evidence: Evidence,
    orders: list[Rows],
    stages: tuple[int, ...],
    inside: NDArray[np.bool_],
    allowed: int,
) -> tuple[float, int]:
    """Summed cost of the texts that reach these stages, and how many of them are lost."""
    stage, *later = stages
    order = orders[stage][inside[orders[stage]]]
    here = float(evidence.cost[stage, order].sum())
    if not later:  # the TA
        return here, 0
    broken = np.cumsum(evidence.broken[stage, order])
    answered, losses = _ends(evidence.score[stage, order], broken, allowed)
    if len(later) == 1:
        rest = order[answered[-1] :]
        return here + float(evidence.cost[later[0], rest].sum()), int(losses[-1])
    best = (np.inf, 0)
    for count, lost in zip(answered.tolist(), losses.tolist(), strict=True):
        left = inside.copy()
        left[order[:count]] = False
        cost, more = _cheapest(evidence, orders, tuple(later), left, allowed - lost)
        best = min(best, (here + cost, lost + more))
    return best


def _ends(score: NDArray[np.float32], broken: Rows, allowed: int) -> tuple[Rows, Rows]:
    """For each number of losses up to `allowed`, the most texts that may be answered, the surest
    first, and their losses; texts of one score are answered together.
    """
    at = np.append(np.flatnonzero(np.diff(score)), len(score) - 1) if len(score) else score[:0]
    counts = np.concatenate([[0], at + 1]).astype(np.int64)
    losses = np.concatenate([[0], broken])[counts].astype(np.int64)
    last = np.append(np.diff(losses) > 0, True) & (losses <= allowed)
    return counts[last], losses[last]
