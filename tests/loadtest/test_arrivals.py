"""Moments of arrival, by their statistics."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import parse_rate
from nestling.loadtest.traffic.spacing import Spacing


def moments(rate: str, seconds: float, spacing: Spacing, cv: float = 4.0) -> np.ndarray:
    return arrivals(parse_rate(rate, seconds), spacing, np.random.default_rng(1), cv)


def spread(values: np.ndarray) -> float:
    gaps = np.diff(values)
    return float(gaps.std() / gaps.mean())


def test_poisson_has_exponential_gaps() -> None:
    found = moments("200", 100, Spacing.POISSON)
    assert len(found) == pytest.approx(20_000, abs=5 * 20_000**0.5)
    assert spread(found) == pytest.approx(1, abs=0.03)
    counts = np.bincount(found.astype(int), minlength=100)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.5)


def test_constant_has_equal_gaps() -> None:
    found = moments("50", 10, Spacing.CONSTANT)
    assert len(found) == 500
    assert np.diff(found) == pytest.approx(0.02)


def test_bursts_have_gamma_gaps() -> None:
    found = moments("200", 200, Spacing.BURSTS, cv=3)
    assert len(found) / 200 == pytest.approx(200, rel=0.1)
    assert spread(found) == pytest.approx(3, rel=0.1)


def test_steps_and_ramps_change_the_rate() -> None:
    steps = np.bincount(moments("100,400", 100, Spacing.POISSON).astype(int) // 50)
    assert steps[0] / 50 == pytest.approx(100, rel=0.1)
    assert steps[1] / 50 == pytest.approx(400, rel=0.1)
    ramp = np.bincount(moments("0.001..200", 100, Spacing.CONSTANT).astype(int) // 10)
    assert ramp / 10 == pytest.approx(np.arange(10, 200, 20), abs=2)


@pytest.mark.parametrize("spacing", Spacing)
def test_ascending_within_the_time_and_the_same_by_the_same_seed(spacing: Spacing) -> None:
    found = moments("10..90", 20, spacing)
    assert (np.diff(found) >= 0).all()
    assert found[0] >= 0
    assert found[-1] <= 20
    assert (found == moments("10..90", 20, spacing)).all()


@pytest.mark.parametrize("rate", ["0", "-3", "nan", "inf", "ten", "", "1..0", "5,,6"])
def test_a_rate_that_is_none(rate: str) -> None:
    with pytest.raises(LoadtestError, match=r"^rate: "):
        parse_rate(rate, 10)


def test_seconds_and_burstiness_are_above_0() -> None:
    with pytest.raises(LoadtestError, match="seconds: 0 is not a finite number above 0"):
        parse_rate("10", 0)
    with pytest.raises(LoadtestError, match="burstiness: 0 is not"):
        moments("10", 1, Spacing.BURSTS, cv=0)
