"""What was known before takes its share of the noise away, and nothing of the effect."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.cuped import adjust, slope, variance_removed
from nestling.experiments.statistics.lift import lift
from nestling.experiments.statistics.mixture import Mixture
from nestling.experiments.statistics.summary import Joint, Summary


def draw(n: int, rho: float, effect: float, seed: int) -> list[Joint]:
    """Control and treatment; outcomes of variance 1 that correlate by rho with the covariate."""
    rng = np.random.default_rng(seed)
    joints = []
    for shift in (0.0, effect):
        x = rng.normal(10, 3, n)
        y = rho * (x - 10) / 3 + (1 - rho**2) ** 0.5 * rng.normal(size=n) + shift
        joints.append(Joint.of(y, x))
    return joints


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_variance_falls_by_rho_squared(rho: float) -> None:
    joints = draw(20_000, rho, 0.5, seed=0)
    control, treatment = adjust(joints)
    assert variance_removed(joints) == pytest.approx(rho**2, abs=0.02)
    assert control.variance == pytest.approx(1 - rho**2, abs=0.03)
    error = (control.squared_error + treatment.squared_error) ** 0.5
    assert abs(treatment.mean - control.mean - 0.5) < 4 * error


def test_theta_is_least_squares_within_variants() -> None:
    joints = draw(500, 0.7, 100.0, seed=1)  # an effect that would spoil a slope over all
    assert slope(joints) == pytest.approx(0.7 / 3, abs=0.03)


def test_one_value_by_hand() -> None:
    control, treatment = Joint.of([1, 3], [0, 2]), Joint.of([4, 6], [1, 3])
    assert slope([control, treatment]) == 1
    assert adjust([control, treatment]) == [Summary(2, 2.5, 0.0), Summary(2, 4.5, 0.0)]


def test_a_covariate_that_does_not_vary_changes_nothing() -> None:
    joint = Joint.of([1.0, 2.0], [5.0, 5.0])
    assert adjust([joint, joint]) == [joint.outcome] * 2
    assert variance_removed([Joint(), Joint()]) == 0
    assert adjust([Joint(), Joint()]) == [Summary(), Summary()]


def test_looked_at_all_the_time_an_adjusted_a_a_experiment_raises_few_alarms() -> None:
    runs, alarms, mixture = 200, 0, Mixture(0.05, 1000)
    for seed in range(runs):
        control, treatment = Joint(), Joint()
        for look in range(20):
            more = draw(100, 0.8, 0.0, seed * 20 + look)
            control, treatment = control.merge(more[0]), treatment.merge(more[1])
            values = adjust([control, treatment])
            if lift(values[1], values[0], Kind.MEAN, mixture).p_value <= 0.05:
                alarms += 1
                break
    assert alarms <= 0.05 * runs
