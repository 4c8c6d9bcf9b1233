"""Whether a rate has risen above what was promised, for a watch that never ends.

The Shiryaev–Roberts e-detector (Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532). While
each loss x in [0, 1] has a mean of at most p, whatever came before it, e = 1 + λ (x − p) with
0 < λ < 1/p has a mean of at most 1, and for

    M_t = (M_{t−1} + 1) · e_t,    M_0 = 0,

M_t − t is a supermartingale; so is the average over several λ. An alarm at M ≥ c therefore comes,
on average, after c texts or more for as long as nothing is wrong. That is a mean time, not a
probability of ever: whoever watches for long enough will see a false alarm.

What came before fades. Without losses M stays near (1 − λp) / (λp), however long that lasts, where
a likelihood ratio would sink for ever and have to climb all of it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

MEAN_TIME = 1e6
"""Texts between two false alarms, on average, or more."""
BETS = 8
SMALLEST, LARGEST = 0.5, 0.5
"""The λ lie between SMALLEST and LARGEST / p, in even steps of their logarithm. One λ is soonest
for one rate: about 1 for twice the promise, 3 for four times it. By simulation, these find 1.5
times to 1/p times the promise in at most 1.3 times the texts that the best λ for each would take,
and twice as many of them gain nothing."""


def bets(risk: float) -> NDArray[np.float64]:
    """(BETS,) the λ for a promised risk, between 0 and 1. Raises ValueError for another."""
    if not 0 < risk < 1:
        raise ValueError(f"risk: {risk} is not between 0 and 1")
    return np.geomspace(SMALLEST, LARGEST / risk, BETS)


def advanced(
    values: NDArray[np.float64],
    lost: NDArray[np.bool_] | bool,
    risk: float,
    by: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(..., bets) each M after one more text. lost: (...,) whether it was a loss. by: the λ."""
    factors = np.where(np.asarray(lost)[..., None], 1 + by * (1 - risk), 1 - by * risk)
    raised: NDArray[np.float64] = (values + 1) * factors
    return raised


class DriftDetector:
    """Raises one alarm, and stands still from then on.

    risk: the rate that was promised at most, between 0 and 1. mean_time: texts between two false
    alarms. Raises ValueError for another risk.
    """

    def __init__(self, risk: float, mean_time: float = MEAN_TIME) -> None:
        self.risk, self._bets, self._mean_time = risk, bets(risk), mean_time
        self._values = np.zeros(BETS)

    @property
    def evidence(self) -> float:
        """The average of the M, from 0 on; the alarm is raised at `mean_time`."""
        return float(self._values.mean())

    @property
    def alarmed(self) -> bool:
        """Whether the alarm has been raised."""
        return self.evidence >= self._mean_time

    def observe(self, lost: bool) -> None:
        """One more text. After the alarm nothing changes any more, so that no M can overflow."""
        if not self.alarmed:
            self._values = advanced(self._values, lost, self.risk, self._bets)


def worst_stretch(losses: Sequence[int], text: int, risk: float) -> tuple[int, int]:
    """The latest texts that speak most against a promised risk: losses among them, and texts.

    losses: numbers of the texts that were losses, rising, at least one. text: number of the last
    text. Of the stretches that begin with a loss and end now, it is the one whose likelihood is the
    greatest multiple of what it would be under the risk: where the change most likely came.
    """
    stretches = [(len(losses) - index, text - first + 1) for index, first in enumerate(losses)]
    return max(stretches, key=lambda each: _against(each[0], each[1], risk))


def _against(losses: int, texts: int, risk: float) -> float:
    """The logarithm of that multiple; 0 for a rate that the risk allows."""
    rate = losses / texts
    if rate <= risk:
        return 0.0
    held = (texts - losses) * log((1 - rate) / (1 - risk)) if rate < 1 else 0.0
    return losses * log(rate / risk) + held
