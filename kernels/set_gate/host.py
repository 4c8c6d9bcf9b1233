"""The same in NumPy, on a CPU; what no row asks for is not computed, but for the energy."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from ..gate.codes import ENERGY, ENTROPY, MARGIN, MARGIN_IN
from ..gate.host import Decided, Floats, decided


def decide_sets(
    logits: Floats,
    codes: NDArray[np.int64],
    temperature: Floats,
    threshold: Floats,
    by: Floats,
    scope: Floats,
    margin: float = MARGIN_IN["float32"],
) -> Decided:
    """As `kernels.gate.host.decide`. codes: (labels,), as `set_gate` has them."""
    x = logits / temperature[:, None]
    sure = np.abs(x)
    label = (codes * (logits >= 0)).sum(axis=1)
    odds = np.exp(-sure)  # of the other answer: at most 1, whatever the logits
    doubt = np.log1p(odds)
    score = confidence = np.exp(-doubt.sum(axis=1))
    e = (np.maximum(x, 0) + doubt).sum(axis=1)
    energy = 0.5 + 0.5 * e / (1 + e)
    if by.any():
        if (by == ENTROPY).any():
            surprise = doubt + sure * odds / (1 + odds)
            entropy = np.maximum(1 - surprise.mean(axis=1) * np.float32(1 / log(2)), 0)
            score = np.where(by == ENTROPY, entropy, score)
        if (by == MARGIN).any():
            score = np.where(by == MARGIN, 1 / (1 + odds.max(axis=1)), score)
        score = np.where(by == ENERGY, energy, score)
    return decided(label, confidence, score, energy, threshold, scope, margin)
