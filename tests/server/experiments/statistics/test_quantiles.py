"""Latency quantiles from bins, with intervals that hold at every look."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from scipy.stats import lognorm

from nestling.server.experiments.statistics import Histogram, bin_of
from nestling.server.experiments.statistics.quantiles import GROWTH, SMALLEST


def test_right_to_within_a_bin() -> None:
    times = np.random.default_rng(0).lognormal(3, 1, 10_000)
    histogram = Histogram.of(times)
    for p in (0.01, 0.5, 0.95, 0.99):
        exact = np.quantile(times, p, method="inverted_cdf")
        found = histogram.quantile(p)
        assert found is not None
        assert exact <= found * (1 + 1e-9)
        assert found <= exact * GROWTH * (1 + 1e-9)


def test_merging_is_as_counting_at_once() -> None:
    times = np.random.default_rng(1).exponential(30, 500)
    halves = Histogram.of(times[:200]).merge(Histogram.of(times[200:]))
    assert halves == Histogram.of(times)
    assert halves.n == 500


@pytest.mark.parametrize("p", [0.5, 0.99])
def test_the_true_quantile_is_left_out_in_at_most_alpha_of_the_runs(p: float) -> None:
    rng, runs, missed = np.random.default_rng(2), 300, 0
    truth = lognorm(1).ppf(p)
    for _ in range(runs):
        histogram = Histogram()
        for _ in range(20):
            histogram = histogram.merge(Histogram.of(rng.lognormal(0, 1, 100)))
            if truth not in histogram.interval(p, 0.05):
                missed += 1
                break
    assert missed <= 0.05 * runs


def test_the_interval_closes_in_around_the_quantile() -> None:
    times = np.random.default_rng(3).lognormal(0, 1, 50_000)
    wide, narrow = (Histogram.of(times[:n]).interval(0.5, 0.05) for n in (500, 50_000))
    assert wide.low < narrow.low < 1 < narrow.high < wide.high
    assert narrow.high / narrow.low < 1.1


def test_few_requests_say_little() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().interval(0.99, 0.05).high == inf
    assert Histogram.of([5.0]).interval(0.5, 0.05).low == 0
    assert Histogram.of([5.0] * 20).interval(0.99, 0.05).high == inf


@pytest.mark.parametrize("value", [nan, inf, -1.0, 1e308])
def test_refuses_times_that_are_none(value: float) -> None:
    with pytest.raises(ValueError, match="latency_ms"):
        bin_of(value)


def test_bins() -> None:
    assert bin_of(0) == bin_of(SMALLEST) == 0
    assert bin_of(SMALLEST * 1.01) == 1
    with pytest.raises(ValueError, match="bin -1"):
        Histogram({-1: 2})
    with pytest.raises(ValueError, match="counts: -2"):
        Histogram({1: -2})
