"""Latency quantiles, with intervals that hold at every look."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

import numpy as np
import pytest
from scipy.stats import geom, lognorm

from nestling.experiments.statistics.quantiles import Quantile, quantile


def of(values: Sequence[float], p: float, alpha: float = 0.05) -> Quantile:
    ordered = sorted(values)
    found = quantile(p, len(ordered), lambda rank: ordered[rank - 1], alpha)
    assert found is not None
    return found


def test_the_value_is_that_of_its_rank() -> None:
    times = np.random.default_rng(0).lognormal(3, 1, 1001)
    for p in (0.01, 0.5, 0.95, 0.99):
        found = of(times.tolist(), p)
        assert found.value == np.quantile(times, p, method="inverted_cdf")
        assert found.value in found.interval


@pytest.mark.parametrize("p", [0.5, 0.99])
def test_the_true_quantile_is_left_out_in_at_most_alpha_of_the_runs(p: float) -> None:
    rng, runs, missed = np.random.default_rng(2), 300, 0
    truth, tied = lognorm(1).ppf(p), geom(0.3).ppf(p)
    for _ in range(runs):
        times, ties = rng.lognormal(0, 1, 2000).tolist(), rng.geometric(0.3, 2000).tolist()
        looks = range(100, 2001, 100)
        missed += any(truth not in of(times[:n], p).interval for n in looks)
        assert sum(tied not in of(ties[:n], p).interval for n in looks) == 0
    assert missed <= 0.05 * runs


def test_the_interval_closes_in_around_the_quantile() -> None:
    times = np.random.default_rng(3).lognormal(0, 1, 50_000).tolist()
    wide, narrow = (of(times[:n], 0.5).interval for n in (500, 50_000))
    assert wide.low < narrow.low < 1 < narrow.high < wide.high
    assert narrow.high / narrow.low < 1.1


def test_few_requests_say_little() -> None:
    assert quantile(0.5, 0, lambda rank: nan, 0.05) is None
    assert of([5.0], 0.5).interval.low == 0
    assert of([5.0] * 20, 0.99).interval.high == inf


@pytest.mark.parametrize(("p", "alpha"), [(0, 0.05), (1, 0.05), (nan, 0.05), (0.5, 0), (0.5, nan)])
def test_refuses_what_cannot_be(p: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"p: |alpha: "):
        quantile(p, 10, lambda rank: 1.0, alpha)
