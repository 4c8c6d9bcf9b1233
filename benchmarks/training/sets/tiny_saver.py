"""TinySaver's rule (arXiv 2403.17726) as an anchor: one student with one threshold, then the TA.

Threshold and student are chosen on the texts that calibrate: of each student the lowest threshold
above which it is at least as accurate as the TA, and the student that with it saves most. It
promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling.models.calibration.evidence import accepts
from nestling.models.cascade.score import Score

from ..rules import saver_threshold
from .asked import Asked


@dataclass(frozen=True)
class Saver:
    """student: by name; None where none saves anything. cost: mean per text of test, as a share of
    the TA's. broken, recovered: texts of test that the student answers wrongly where the TA is
    right, and the other way round.
    """

    student: str | None
    cost: float
    broken: int
    recovered: int


def tiny_saver(calibration: Asked, test: Asked) -> Saver:
    """What the rule chooses on the first, and what it does on the second."""
    costs, thresholds = [], []
    drawn = calibration.evidence[Score.PROBABILITY]
    for row in range(len(calibration.students) - 1):
        threshold = saver_threshold(drawn.score[row], calibration.ahead[row], drawn.margin)
        thresholds.append(threshold)
        costs.append(_cost(calibration, row, _taken(calibration, row, threshold)))
    if not costs or min(costs) >= 1:
        return Saver(None, 1.0, 0, 0)
    row = int(np.argmin(costs))
    taken = _taken(test, row, thresholds[row])
    ahead = test.ahead[row, taken]
    cost = _cost(test, row, taken)
    return Saver(test.students[row], cost, int((ahead < 0).sum()), int((ahead > 0).sum()))


def _taken(texts: Asked, row: int, threshold: float) -> NDArray[np.bool_]:
    evidence = texts.evidence[Score.PROBABILITY]
    return accepts(evidence.score[row], threshold, evidence.margin)


def _cost(texts: Asked, row: int, taken: NDArray[np.bool_]) -> float:
    cost = texts.evidence[Score.PROBABILITY].cost
    return float((cost[row].sum() + cost[-1, ~taken].sum()) / cost[-1].sum())
