"""How many texts order the tests of a calibration, and how many test: by numbers alone.

Which students answer what has no part in it, so that no text that tests decides about its own test.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from .risk import fewest_examples, losses_allowed
from .target import RiskTarget

ORDERING_SHARE = 0.25
"""At least this share of the data orders the tests, less what is known of other texts: fewer texts
make a poor order, and every text that orders is one less that tests. On redraws
(`benchmarks.training.guarantee`) 0.12 and 0.35 both cost more."""
FEWEST_ORDERING = 50
"""Of the calibration's own texts, however many others order: temperatures shall be those of its
traffic, too. Where 442 others are worth it, of 200 to 4,000 texts, the test then allows 4 % fewer
losses on average at a risk of 0.5 %, 8 % at 1 % and 14 % at 2 %; with 100 it would be twice that.
"""
WORTH_OTHER_TEXTS = 0.1
"""By more than this share held-out texts must raise the observed risk at which the test passes. On
redraws (`benchmarks.training.guarantee`) cascades that gained so 14 to 50 % were up to 1.5 times as
cheap; one that gained 3 % was dearer by a third."""


def fewest_ordering(groups: int) -> int:
    """How many texts each of so many groups gives to the order, at least."""
    return math.ceil(FEWEST_ORDERING / groups)


def most_testing(n: int, fewest_ordering: int = FEWEST_ORDERING, known: int = 0) -> int:
    """How many of n texts may test, as others must order; below 1 if they are too few. known: other
    texts that order, which spare those of the n down to the fewest that must."""
    return n - max(fewest_ordering, math.ceil(ORDERING_SHARE * n) - known)


def testing_size(n: int, alpha: float, confidence: float, known: int) -> int:
    """How many of n texts test. known: other texts that order, beside those of the n.

    The testing part is as small as it can be for the number of losses that it allows: texts
    beyond that would not buy another allowed loss, but they do improve the order.
    """
    return tested_of(n, alpha, confidence, FEWEST_ORDERING, known)


def tested_of(n: int, alpha: float, confidence: float, fewest_ordering: int, known: int) -> int:
    """The same where at least so many of the n must order."""
    most = most_testing(n, fewest_ordering, known)
    allowed = losses_allowed(most, alpha, confidence) if most > 0 else -1
    return fewest_examples(allowed, alpha, confidence) if allowed >= 0 else max(0, most)


def texts_in_all(testing: int, fewest_ordering: int = FEWEST_ORDERING, known: int = 0) -> int:
    """The fewest texts, ordering and testing ones together, of which so many may test. known: other
    texts that order, whether it is worth it or not."""
    candidates = range(testing, 2 * (testing + fewest_ordering))
    return testing + bisect_left(
        candidates, testing, key=lambda n: most_testing(n, fewest_ordering, known)
    )


def helps(known: int, texts: int, target: RiskTarget) -> bool:
    """Whether so many texts held out of training should order the tests in place of others.

    They buy a greater observed risk at which the test passes, since more texts test; but what is
    surest on them is not quite so on the texts of the calibration. Where nothing could pass without
    them, any number helps.
    """
    alone, helped = (_tolerated(texts, target, others) for others in (0, known))
    return helped > alone * (1 + WORTH_OTHER_TEXTS) if alone else known > 0


def useful(known: int, texts: int, target: RiskTarget) -> int:
    """How many of the texts held out of training order the tests: all, or none."""
    return known if helps(known, texts, target) else 0


def texts_needed(testing: int, target: RiskTarget, known: int) -> int:
    """The fewest texts of which so many may test, and so do those of any greater number. known:
    texts held out of training, which order wherever that helps.
    """
    enough, least = texts_in_all(testing), texts_in_all(testing, known=known)
    while enough > least and helps(known, enough - 1, target):
        alike = (_alike_from(enough - 1, target, others) for others in (0, known))
        enough = max(least, *alike)
    return enough


def _tolerated(texts: int, target: RiskTarget, known: int) -> float:
    """The observed risk at which the test just passes; 0 if it never does."""
    testing = testing_size(texts, target.alpha, target.confidence, known)
    allowed = losses_allowed(testing, target.alpha, target.confidence)
    return (allowed + 0.5) / testing if allowed >= 0 else 0.0


def _alike_from(texts: int, target: RiskTarget, known: int) -> int:
    """The fewest texts of which as many test as of these, and with which as much is tolerated."""
    if not _tolerated(texts, target, known):
        return 0
    testing = testing_size(texts, target.alpha, target.confidence, known)
    return texts_in_all(testing, known=known)
