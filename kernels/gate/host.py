"""The gate on a CPU, in numpy: for a few rows torch's operations cost more than the arithmetic.

With the largest logit of a row at 0 its odds are 1, so that the confidence is one over the sum of
all odds, and the margin one over 1 and the odds of the runner-up. What no row asks for is not
computed, but for the energy. `host_tensors` has the same for tensors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .codes import ENERGY, ENTROPY, MARGIN, MARGIN_IN, per_surprise

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Decided = tuple[NDArray[np.int64], Floats, Floats, Flags, Floats, Flags]
"""The columns of a `GateDecision`, each (rows,)."""


def decide(
    logits: Floats,
    temperature: Floats,
    threshold: Floats,
    by: Floats,
    scope: Floats,
    margin: float = MARGIN_IN["float32"],
) -> Decided:
    """Decide each row on its own.

    logits: (rows, labels). temperature, threshold, by, scope: (rows,). margin: the gate's for their
    dtype.
    """
    z = logits / temperature[:, None]
    label = z.argmax(axis=1)
    highest = z.max(axis=1)
    below = z - highest[:, None]
    odds = np.exp(below)
    total = odds.sum(axis=1)
    log_total = np.log(total)
    e = highest + log_total
    energy = 0.5 + 0.5 * e / (1 + np.abs(e))
    score = confidence = 1 / total
    if by.any():
        if (by == ENTROPY).any():
            surprise = log_total - (odds * below).sum(axis=1) / total
            entropy = np.maximum(1 - surprise * np.float32(per_surprise(logits.shape[1])), 0)
            score = np.where(by == ENTROPY, entropy, score)
        if (by == MARGIN).any():
            odds[np.arange(len(odds)), label] = 0
            score = np.where(by == MARGIN, 1 / (1 + odds.max(axis=1)), score)
        score = np.where(by == ENERGY, energy, score)
    return decided(label, confidence, score, energy, threshold, scope, margin)


def decided(
    label: NDArray[np.int64],
    confidence: Floats,
    score: Floats,
    energy: Floats,
    threshold: Floats,
    scope: Floats,
    margin: float,
) -> Decided:
    """What follows from the scores of each row."""
    inside = (energy >= scope + np.float32(margin)) | (scope <= 0)
    accept = ((score >= threshold + np.float32(margin)) | (threshold <= 0)) & inside
    return label, confidence, score, accept, energy, inside
