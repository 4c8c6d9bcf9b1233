"""The mean of one variant, covered at every look."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.mean import MINIMUM_UNITS, Interval, mean_interval
from nestling.experiments.statistics.mixture import Mixture
from nestling.experiments.statistics.summary import Summary

from .walking import from_sums

MIXTURE = Mixture(0.05, 1_000)


@pytest.mark.parametrize(("a", "b"), [(0.1, 0.9), (2, 2), (0.01, 0.2)])
def test_a_rate_of_fractions_is_left_out_in_at_most_alpha_of_the_runs(a: float, b: float) -> None:
    """Exact: from the first unit on."""
    rng, runs, missed = np.random.default_rng(0), 400, 0
    for _ in range(runs):
        values = rng.beta(a, b, 1000)
        looks = [Summary.of(values[:n]) for n in (1, 2, 5, 10, 30, 100, 300, 1000)]
        intervals = [mean_interval(look, Kind.RATE, MIXTURE) for look in looks]
        missed += any(interval and a / (a + b) not in interval for interval in intervals)
    assert missed <= 0.05 * runs


def test_any_other_mean_is_left_out_in_at_most_alpha_of_the_runs() -> None:
    """Asymptotic: from `MINIMUM_UNITS` on."""
    rng, runs, missed = np.random.default_rng(0), 500, 0
    for _ in range(runs):
        values = rng.exponential(20, 3000)
        totals, squares = values.cumsum().tolist(), (values**2).cumsum().tolist()
        intervals = [
            mean_interval(from_sums(n, totals[n - 1], squares[n - 1]), Kind.MEAN, MIXTURE)
            for n in range(MINIMUM_UNITS, 3001, 100)
        ]
        missed += any(interval and 20 not in interval for interval in intervals)
    assert missed <= 0.05 * runs


def test_nothing_is_known_before_it_can_be() -> None:
    assert mean_interval(Summary(99, 5.0, 1.0), Kind.MEAN, MIXTURE) is None
    assert mean_interval(Summary(), Kind.RATE, MIXTURE) == Interval(0.0, 1.0)
    assert mean_interval(Summary(1, 1.0), Kind.RATE, MIXTURE) is not None


@pytest.mark.parametrize("mean", [-0.1, 1.1, 1e50])
def test_refuses_a_rate_outside_0_and_1(mean: float) -> None:
    with pytest.raises(ValueError, match=r"mean: .* is not between 0 and 1"):
        mean_interval(Summary(10, mean), Kind.RATE, MIXTURE)


def test_rounding_beyond_0_and_1_is_no_error() -> None:
    for mean in (-1e-12, 1 + 1e-12):
        found = mean_interval(Summary(10, mean), Kind.RATE, MIXTURE)
        assert found is not None
        assert 0 <= found.low <= found.high <= 1


def test_interval() -> None:
    assert 1 in Interval(0, 2)
    assert 3 not in Interval(0, 2)
