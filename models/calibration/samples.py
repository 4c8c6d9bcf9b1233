"""Before any text is collected: how many a promise takes, and what a number of them can promise.

All of it is exact. Of n texts `learn_then_test` lets m test, of which k may be lost; a cascade of
true risk r passes with the chance P( Binomial(m, r) ≤ k ). A walk passes it if it passes the safer
ones before it too, and those lose less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import NestlingError
from .risk import losses_allowed
from .sizes import most_testing, testing_size, texts_in_all, texts_needed, useful
from .target import RiskTarget

MOST_TEXTS = 10_000_000
STEPS = 100_000
"""Risks that may be promised are multiples of one in so many."""
BLOCK = 1024


@dataclass(frozen=True)
class Sample:
    """What so many texts can show of a risk.

    alpha: the risk that is promised. testing: texts that test; the others order the tests.
    allowed: losses among those that test at which the test still passes; −1 if it never does.
    """

    texts: int
    testing: int
    alpha: float
    allowed: int

    @property
    def ordering(self) -> int:
        return self.texts - self.testing

    def chance(self, true_risk: float) -> float:
        """That a cascade of this true risk passes."""
        return float(_chance(np.array(self.allowed), np.array(self.testing), true_risk))


def sample(texts: int, alpha: float, confidence: float, known: int = 0) -> Sample:
    """What texts can show of a risk of alpha. known: other texts that order the tests."""
    testing = testing_size(texts, alpha, confidence, known)
    return Sample(texts, testing, alpha, losses_allowed(testing, alpha, confidence))


Integers = NDArray[np.int64]
Condition = Callable[[Integers, Integers, float], NDArray[np.bool_]]
"""Whether it is met where so many losses are allowed in so many texts that test, elementwise, by a
cascade of this true risk."""


def _chance(allowed: Integers, testing: Integers, true_risk: float) -> NDArray[np.float64]:
    from scipy.stats import binom  # heavy

    return np.asarray(binom.cdf(allowed, testing, true_risk))


def without_loss(allowed: Integers, testing: Integers, true_risk: float) -> NDArray[np.bool_]:
    """It can pass at all: if the cascade loses none of the texts that test."""
    return np.asarray(allowed >= 0)


def as_expected(allowed: Integers, testing: Integers, true_risk: float) -> NDArray[np.bool_]:
    """It passes with the losses that are to be expected, rounded up."""
    return np.asarray((np.ceil(testing * true_risk) <= allowed) & (allowed >= 0))


def with_chance(chance: float) -> Condition:
    """It passes with at least this chance."""

    def met(allowed: Integers, testing: Integers, true_risk: float) -> NDArray[np.bool_]:
        return np.asarray(_chance(allowed, testing, true_risk) >= chance)

    return met


CONDITIONS: dict[str, Condition] = {
    "no loss": without_loss,
    "chance of 50%": with_chance(0.5),
    "expected losses": as_expected,
    "chance of 80%": with_chance(0.8),
    "chance of 95%": with_chance(0.95),
}


def check_expected(true_risk: float, alpha: float, confidence: float) -> None:
    """Raises NestlingError unless a cascade of this true risk is better than what is promised."""
    if true_risk >= alpha:
        raise NestlingError(
            f"expected: a true risk of {true_risk:g} is not below max-drop, {alpha:g}; such a "
            f"cascade passes by luck alone, with a chance of at most {1 - confidence:.3g}, however "
            "many texts there are"
        )


def fewest_texts(
    condition: Condition, true_risk: float, alpha: float, confidence: float, known: int = 0
) -> Sample | None:
    """The fewest texts with which a cascade of a true risk meets a condition.

    known: texts held out of training, which order the tests where that helps. None if it takes more
    than `MOST_TEXTS`. Raises NestlingError where no number would do, as the true risk is not below
    alpha.
    """
    check_expected(true_risk, alpha, confidence)
    target = RiskTarget(alpha, confidence)
    first, count = 0, BLOCK
    while True:
        allowed = np.arange(first, first + count)
        testing = _fewest_testing(allowed, alpha, confidence)
        if len(met := np.flatnonzero(condition(allowed, testing, true_risk))):
            texts = texts_needed(int(testing[met[0]]), target, known)
            if texts > MOST_TEXTS:
                return None
            return sample(texts, alpha, confidence, useful(known, texts, target))
        if testing[-1] > MOST_TEXTS:
            return None
        first, count = first + count, 2 * count


def _fewest_testing(allowed: Integers, alpha: float, confidence: float) -> Integers:
    """`fewest_examples` of every number of losses k, at once.

    At most k of n texts are lost exactly where the (k + 1)th loss comes after the nth text, and the
    number of texts without a loss before it is negative binomial.
    """
    from scipy.stats import binom, nbinom

    kept = nbinom.ppf(confidence, allowed + 1, alpha)
    testing = np.asarray(kept, dtype=np.int64) + allowed + 1
    return testing + (binom.cdf(allowed, testing, alpha) > 1 - confidence)  # a tie, rounded


def least_risk(
    condition: Condition, true_risk: float | None, texts: int, confidence: float
) -> Sample | None:
    """The least risk, to `STEPS`, that texts can promise under a condition; None if there is none.

    true_risk: of the cascade, which must be below what is promised; None for half of that. Raises
    NestlingError where so few texts can promise nothing at all.
    """
    if most_testing(texts) < 1:
        least = texts_in_all(1)
        raise NestlingError(f"texts: {texts:,} are too few to promise anything; it takes {least:,}")

    def met(steps: int) -> bool:
        found = sample(texts, steps / STEPS, confidence)
        risk = found.alpha / 2 if true_risk is None else true_risk
        sizes = np.array(found.allowed), np.array(found.testing)
        return found.alpha > risk and bool(condition(*sizes, risk))

    candidates = range(1, STEPS)
    place = bisect_left(candidates, True, key=met)
    if place == len(candidates):
        return None
    return sample(texts, candidates[place] / STEPS, confidence)
