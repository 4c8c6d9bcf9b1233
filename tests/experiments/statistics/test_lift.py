"""Two means compared, at every look."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest

from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.lift import lift
from nestling.experiments.statistics.mixture import Mixture
from nestling.experiments.statistics.summary import Summary

from .walking import Draw, looks

MIXTURE = Mixture(0.05, 10_000)


def test_by_hand() -> None:
    """Ratio and difference for means of 11 and 10 with standard errors of 0.4."""
    treatment = Summary(1000, 11.0, 0.16 * 1000 * 999)
    control = Summary(1000, 10.0, 0.16 * 1000 * 999)
    found = lift(treatment, control, Kind.MEAN, MIXTURE)
    width = MIXTURE.standard_errors(2000)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(1 - width * 0.32**0.5)
    assert found.p_value == pytest.approx(MIXTURE.p_value(1 / 0.32**0.5, 2000))
    assert found.relative == pytest.approx(0.1)
    assert found.relative_interval is not None
    for end in (found.relative_interval.low, found.relative_interval.high):
        k = 1 + end
        assert (11 - k * 10) ** 2 == pytest.approx(width**2 * (0.16 + k * k * 0.16))


def test_the_ratio_leaves_out_zero_when_the_difference_does() -> None:
    for shift in np.linspace(0, 3, 40):
        treatment = Summary(1000, 10 + shift, 90_000.0)
        found = lift(treatment, Summary(1000, 10.0, 90_000.0), Kind.MEAN, MIXTURE)
        assert found.interval
        assert found.relative_interval
        assert (0 in found.interval) == (0 in found.relative_interval) == (found.p_value > 0.05)


def test_no_ratio_to_what_may_be_zero() -> None:
    noisy = lift(Summary(1000, 0.2, 1e6), Summary(1000, 0.1, 1e6), Kind.MEAN, MIXTURE)
    assert noisy.relative == pytest.approx(1.0)
    assert noisy.relative_interval is None
    assert (
        lift(Summary(1000, 0.2, 1.0), Summary(1000, -1.0, 1.0), Kind.MEAN, MIXTURE).relative is None
    )
    assert (
        lift(Summary(1000, 1e49, 1.0), Summary(1000, 5e-324, 1.0), Kind.MEAN, MIXTURE).relative
        is None
    )


def test_nothing_is_said_too_early() -> None:
    for treatment, control in [
        (Summary(99, 1.0, 1.0), Summary(10_000, 0.0, 1.0)),
        (Summary(1000, 1.0, 0.0), Summary(1000, 0.0, 0.0)),
        (Summary(), Summary()),
    ]:
        found = lift(treatment, control, Kind.MEAN, MIXTURE)
        assert (found.interval, found.p_value, found.relative_interval) == (None, 1.0, None)


def test_the_largest_numbers_stay_numbers() -> None:
    found = lift(Summary(1000, 1e50, 1e100), Summary(1000, -1e50, 1e100), Kind.MEAN, MIXTURE)
    assert found.estimate == 2e50
    assert found.p_value == 0


DRAWS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "one in a hundred": lambda rng, n: (rng.random(n) < 0.01).astype(float),
    "skewed": lambda rng, n: rng.lognormal(sigma=1.5, size=n),
}


KINDS = {"one in a hundred": Kind.RATE}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_of_1000_a_a_experiments_peeked_at_every_100_units_at_most_5_percent_alarm(
    name: str, share: float
) -> None:
    """Ville's bound is 50 of 1,000 for a look after each unit for ever; these look 50 times up to
    5,000 units, and the seeds are fixed, so no allowance for chance is made.
    """
    mixture, kind = Mixture(0.05, 2_000), KINDS.get(name, Kind.MEAN)
    alarms = sum(
        any(
            lift(treatment, control, kind, mixture).p_value <= 0.05
            for treatment, control in looks(DRAWS[name], 0.0, 5_000, 100, seed, share)
        )
        for seed in range(1000)
    )
    assert alarms <= 50


def test_a_fixed_horizon_test_peeked_at_alarms_far_more_often() -> None:
    """Why all this: the same looks with p < 5 % of a plain z-test."""
    line = NormalDist().inv_cdf(0.975)
    alarms = sum(
        any(
            abs(t.mean - c.mean) > line * sqrt(t.squared_error + c.squared_error)
            for t, c in looks(DRAWS["normal"], 0.0, 5_000, 100, seed)
        )
        for seed in range(300)
    )
    assert alarms > 0.25 * 300


def test_a_known_effect_is_covered_at_every_look_and_found() -> None:
    """0.1 standard deviations; a fixed test of 3,140 units would find it with a power of 80 %."""
    mixture, effect, covered, found = Mixture(0.05, 5_000), 0.1, 0, 0
    for seed in range(300):
        lifts = [
            lift(t, c, Kind.MEAN, mixture)
            for t, c in looks(DRAWS["normal"], effect, 10_000, 200, seed)
        ]
        covered += all(each.interval is None or effect in each.interval for each in lifts)
        found += any(each.p_value <= 0.05 for each in lifts)
    assert covered >= 0.95 * 300
    assert found >= 0.95 * 300
