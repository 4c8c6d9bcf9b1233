"""As many units as the weights say, or no verdict."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from scipy.stats import chisquare, dirichlet_multinomial, multinomial

from nestling.experiments.statistics.sample_ratio import ALPHA, CONCENTRATIONS, sample_ratio_p_value


@pytest.mark.parametrize(
    ("counts", "weights"), [([60, 40], [1, 1]), ([5, 12, 90], [1, 2, 7]), ([0, 3], [5, 1])]
)
def test_it_is_the_ratio_of_two_distributions(counts: list[int], weights: list[int]) -> None:
    shares, n = np.array(weights) / sum(weights), sum(counts)
    ratios = [
        exp(
            dirichlet_multinomial.logpmf(counts, c * shares, n)
            - multinomial.logpmf(counts, n, shares)
        )
        for c in CONCENTRATIONS
    ]
    expected = min(1, 1 / np.mean(ratios))
    assert sample_ratio_p_value(counts, weights) == pytest.approx(expected)


def alarmed(shares: list[float], weights: list[int], runs: int, looks: int, every: int) -> float:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(runs):
        counts = rng.multinomial(every, shares, looks).cumsum(axis=0)
        alarms += any(sample_ratio_p_value(row.tolist(), weights) < ALPHA for row in counts)
    return alarms / runs


@pytest.mark.parametrize(
    ("shares", "weights"), [([0.5, 0.5], [1, 1]), ([0.1, 0.2, 0.7], [1, 2, 7])]
)
def test_false_alarms_at_any_look(shares: list[float], weights: list[int]) -> None:
    assert alarmed(shares, weights, runs=1000, looks=60, every=500) <= ALPHA


def test_a_plain_chi_squared_test_would_alarm_again_and_again() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        counts = rng.multinomial(500, [0.5, 0.5], 60).cumsum(axis=0)
        alarms += chisquare(counts, axis=1).pvalue.min() < ALPHA
    assert alarms > 3 * ALPHA * 300


def test_small_and_gross_deviations_are_found() -> None:
    assert alarmed([0.51, 0.49], [1, 1], runs=200, looks=100, every=1000) > 0.99
    assert alarmed([0.4, 0.6], [1, 1], runs=200, looks=10, every=100) > 0.95


def test_no_units_are_no_evidence() -> None:
    assert sample_ratio_p_value([0, 0], [1, 1]) == 1
    assert sample_ratio_p_value([10**9, 10**9], [1, 1]) == 1
    assert sample_ratio_p_value([10**9, 0], [1, 1]) == 0
    assert sample_ratio_p_value([12], [3]) == 1


@pytest.mark.parametrize(
    ("counts", "weights"), [([1, -1], [1, 1]), ([1, 1], [1, 0]), ([1], [1, 1])]
)
def test_refuses_what_cannot_be(counts: list[int], weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"counts\[1\]|weights"):
        sample_ratio_p_value(counts, weights)
