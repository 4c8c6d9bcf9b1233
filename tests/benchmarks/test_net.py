"""The tests of the net loss that are said to be exact keep their level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.training.net_rules import Test, betting, drop, normal, trinomial

DELTA, DRAWS = 0.1, 4000


@pytest.mark.parametrize("test", [trinomial, betting])
@pytest.mark.parametrize(("texts", "recoveries"), [(100, 0.0), (400, 0.01), (400, 0.08)])
def test_what_loses_exactly_alpha_passes_at_most_as_often_as_allowed(
    test: Test, texts: int, recoveries: float
) -> None:
    alpha = 0.03
    shares = [recoveries + alpha, recoveries, 1 - alpha - 2 * recoveries]
    draws = np.random.default_rng(0).multinomial(texts, shares, DRAWS)
    passed = [test(int(b), int(r), texts, alpha, DELTA) <= DELTA for b, r, _ in draws]
    assert np.mean(passed) <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / DRAWS)


def test_the_worst_share_of_recoveries_is_the_greatest() -> None:
    """So that a grid of few shares finds it."""
    texts, alpha = 750, 0.02
    r = np.arange(200)
    for net in (0, 7, 12):
        worst = [
            float(binom.pmf(r, texts, q) @ binom.cdf(net + r, texts - r, (q + alpha) / (1 - q)))
            for q in np.linspace(0, 0.08, 30)
        ]
        assert np.argmax(worst) == len(worst) - 1


def test_without_recoveries_the_other_losses_are_no_easier_than_what_breaks() -> None:
    for breaks in (0, 5, 10):
        exact = drop(breaks, 0, 1000, 0.02, DELTA)
        assert exact <= trinomial(breaks, 0, 1000, 0.02, DELTA)
        assert exact <= betting(breaks, 0, 1000, 0.02, DELTA)
    for test in (trinomial, betting, normal):
        assert test(20, 12, 1000, 0.02, DELTA) < test(20, 2, 1000, 0.02, DELTA)
