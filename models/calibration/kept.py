"""What is kept of the path that a calibration tested: a few steps to each side of the chosen one.

Which steps: those of which no cheaper one lost as few texts. Where that are too many, the losses
change from one to the next in about even ratios.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cascade.path import NEVER, CascadePath, PathVector
from .cost import COST_DIGITS
from .evidence import Evidence, Floats, outcome

MOST = 16
"""Steps to each side of the chosen one."""


def kept_path(
    stages: Evidence, testing: NDArray[np.int64], vectors: Floats, chosen: int, ta_cost: float
) -> CascadePath:
    """stages: the evidence of the cascade's own stages, of all texts. testing: rows of those that
    test. vectors: (vectors, stages), from the safest to the cheapest; at the first only the last
    stage answers. chosen: the index of the one that serves. ta_cost: of the TA alone, mean per
    text.

    A vector that once had further stages is taken without them: its losses and its cost are counted
    here as it would serve.
    """
    losses = np.rint(outcome(stages.select(testing), vectors).losses).astype(np.int64)
    safer = _front(losses[:chosen])
    safer = safer[(losses[safer] < losses[chosen]) & (safer > 0)]
    cheaper = chosen + 1 + _front(losses[chosen + 1 :])
    cheaper = cheaper[losses[cheaper] > losses[chosen]]

    def step(index: int) -> PathVector:
        vector = vectors[index]
        used = np.flatnonzero(vector < NEVER)
        cost = float(outcome(stages.stages(used.tolist()), vector[None, used]).cost[0])
        return PathVector(
            tuple(map(float, vector)),
            float(losses[index] / len(testing)),
            round(cost / ta_cost, COST_DIGITS),
        )

    alone = [step(0)] if chosen and vectors.shape[1] > 1 else []
    before = [step(index) for index in _thinned(safer, losses)]
    before = [each for each in before if alone and each.relative_cost < alone[0].relative_cost]
    after = [step(index) for index in _thinned(cheaper, losses)]
    return CascadePath((*alone, *before, step(chosen), *after), len(alone) + len(before))


def _front(losses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices behind which all have more losses."""
    fewest = np.minimum.accumulate(losses[::-1])[::-1]
    return np.flatnonzero(losses < np.append(fewest, np.iinfo(np.int64).max)[1:])


def _thinned(indices: NDArray[np.int64], losses: NDArray[np.int64]) -> list[int]:
    """At most MOST of them, the first and the last among these."""
    if len(indices) > MOST:
        heights = np.log1p(losses[indices])
        wanted = np.linspace(heights[0], heights[-1], MOST)
        indices = indices[np.unique(np.abs(heights[:, None] - wanted).argmin(axis=0))]
    return [int(index) for index in indices]
