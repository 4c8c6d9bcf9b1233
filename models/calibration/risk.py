"""Testing whether a risk is small: exact for losses of 0 and 1.

Under H0: risk > α, the number of losses among n independent texts is at least as large, in
distribution, as Binomial(n, α). So P(at most the observed number) under Binomial(n, α) is a
valid p-value, and H0 is rejected where it is at most δ = 1 − confidence.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray


def p_value(losses: NDArray[np.int64], n: int, alpha: float) -> NDArray[np.float64]:
    """P(Binomial(n, alpha) ≤ losses), elementwise: the p-value of H0: risk > alpha.

    losses: number of texts with loss 1 among n.
    """
    from scipy.stats import binom  # heavy: only the commands that calibrate pay for it

    return np.asarray(binom.cdf(losses, n, alpha), dtype=np.float64)


def upper_bounds(
    losses: NDArray[np.int64], n: NDArray[np.int64] | int, confidence: float
) -> NDArray[np.float64]:
    """The least alpha at which H0: risk > alpha is rejected, elementwise (Clopper, Pearson 1934).

    losses: number of texts with loss 1 among n. The true risk is above it with probability at most
    1 − confidence.
    """
    from scipy.stats import beta

    found = beta.ppf(confidence, losses + 1, n - losses)  # NaN where all are lost
    return np.asarray(np.where(losses < n, found, 1.0), dtype=np.float64)


def losses_allowed(n: int, alpha: float, confidence: float) -> int:
    """The most losses among n texts at which H0: risk > alpha is rejected; −1 if never."""
    from scipy.stats import binom

    delta = 1 - confidence
    k = int(binom.ppf(delta, n, alpha))  # the least k with cdf ≥ δ
    while k >= 0 and binom.cdf(k, n, alpha) > delta:
        k -= 1
    return k


def fewest_examples(losses: int, alpha: float, confidence: float) -> int:
    """The least n at which so many losses still reject H0: risk > alpha."""
    from scipy.stats import binom

    def rejects(n: int) -> bool:
        return bool(binom.cdf(losses, n, alpha) <= 1 - confidence)

    high = max(1, losses)
    while not rejects(high):
        high *= 2
    return bisect_left(range(high), True, lo=high // 2, key=rejects)


def examples_needed(observed_risk: float, alpha: float, confidence: float) -> int | None:
    """How many texts would show a risk that is observed at this rate; None if none would.

    The least n at which ⌈n · observed_risk⌉ losses reject H0: risk > alpha.
    """
    if observed_risk >= alpha:
        return None
    losses = 0
    while True:
        n = fewest_examples(losses, alpha, confidence)
        if (expected := math.ceil(n * observed_risk)) <= losses:
            return n
        losses = expected  # fewer than that cannot do: n grows with the losses
