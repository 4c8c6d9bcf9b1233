"""What arrives at one replica."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.capacity.traffic import busiest, steady
from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.traffic.traces import Trace


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_steady_rate_is_poisson() -> None:
    gaps = np.diff(steady(100.0).moments(500, rng()))
    assert gaps.mean() == pytest.approx(1 / 500, rel=0.02)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)


def test_the_busiest_stretch_of_counts() -> None:
    counts = np.full(1000, 200.0)
    counts[300:320] = 800
    shape = busiest(Trace("t", counts=counts), 20)
    assert (shape.begin, shape.seconds) == (300, 20)
    assert shape.peak == pytest.approx(800 / counts.mean())
    assert len(shape.moments(400, rng())) == pytest.approx(8000, rel=0.05)


def test_the_shape_within_a_stretch_is_kept() -> None:
    counts = np.tile([100.0, 300.0], 50)
    moments = busiest(Trace("t", counts=counts), 100).moments(100, rng())
    even = (moments.astype(int) % 2 == 0).mean()
    assert even == pytest.approx(0.25, abs=0.03)


def test_chance_in_a_sparse_trace_is_no_burst() -> None:
    moments = np.sort(rng().uniform(0, 10_000, 20_000))  # two per second
    shape = busiest(Trace("t", moments=moments - moments[0]), 1000)
    assert shape.peak < 1.2
    arrivals = shape.moments(50, rng())
    per_second = np.bincount(arrivals.astype(int))
    assert per_second.var() / per_second.mean() < 3  # doubled arrivals would give 25


def test_a_trace_that_is_shorter_than_asked_for_is_taken_whole() -> None:
    shape = busiest(Trace("t", counts=np.array([5.0, 7.0, 9.0])), 60)
    assert shape.seconds == 3
    assert shape.peak == 1


def test_a_short_stretch_comes_again_until_there_is_enough() -> None:
    shape = busiest(Trace("t", counts=np.array([100.0, 300.0])), 2)
    moments = shape.moments(100, rng(), least=10_000)
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    assert (moments.astype(int) % 2 == 0).mean() == pytest.approx(0.25, abs=0.03)


def test_seconds_must_be_above_0() -> None:
    with pytest.raises(LoadtestError, match="seconds: 0"):
        steady(0)
