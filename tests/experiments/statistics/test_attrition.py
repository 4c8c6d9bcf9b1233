"""As much missing in one variant as in another, or no verdict."""

from __future__ import annotations

from itertools import pairwise, product
from math import log

import numpy as np
import pytest
from scipy.stats import hypergeom

from nestling.experiments.statistics.attrition import (
    GROWTH,
    attrition_p_value,
    look_share,
    looks,
)
from nestling.experiments.statistics.missing import ALPHA
from nestling.experiments.statistics.summary import Summary

PLANNED = 10_000
EVEN = (1, 1)


def shares(seen: float, units: int) -> Summary:
    """So many units, each of which has been seen or has not."""
    return Summary(units, seen / units, seen - seen**2 / units) if units else Summary()


def chances(values: list[float], weights: tuple[int, int]) -> tuple[list[float], list[float]]:
    """The p-value of every way to assign units of these shares, and its probability."""
    treated = weights[0] / sum(weights)
    found, probabilities = [], []
    for arms in product((True, False), repeat=len(values)):
        treatment = Summary.of(v for v, arm in zip(values, arms, strict=True) if arm)
        control = Summary.of(v for v, arm in zip(values, arms, strict=True) if not arm)
        found.append(attrition_p_value(treatment, control, weights))
        probabilities.append(treated ** sum(arms) * (1 - treated) ** (len(arms) - sum(arms)))
    return found, probabilities


@pytest.mark.parametrize("weights", [(1, 1), (1, 4), (3, 1)])
@pytest.mark.parametrize(
    "values", [[1.0] * 5 + [0.0] * 6, [1.0] * 9 + [0.0], [0, 0.2, 0.5, 0.5, 0.9, 1, 1, 1, 0.3, 0.1]]
)
def test_it_is_right_for_every_assignment_there_is(
    values: list[float], weights: tuple[int, int]
) -> None:
    found, probabilities = (np.array(each) for each in chances(values, weights))
    assert probabilities.sum() == pytest.approx(1)
    for p in np.unique(found):
        assert probabilities[found <= p].sum() <= p + 1e-12


def test_near_fishers_exact_test() -> None:
    """Of which it is the bound: some units of evidence less, and of the same order."""
    for seen in (4600, 4650, 4700):
        fisher = 2 * hypergeom.cdf(seen, 10_000, 4800 + seen, 5000)
        p = attrition_p_value(shares(seen, 5000), shares(4800, 5000), EVEN)
        assert fisher < p
        assert log(p) < 0.75 * log(fisher)


def test_looks_share_the_error() -> None:
    all_looks = looks(PLANNED)
    assert all_looks[0] == 1
    assert PLANNED in all_looks
    assert all(b <= GROWTH * a + 1 for a, b in pairwise(all_looks))
    far = [round(PLANNED * GROWTH**j) for j in range(100, 300)]
    together = sum(look_share(each, PLANNED) for each in {*all_looks, *far} if each >= 20)
    assert 0.8 < together <= 1
    assert look_share(PLANNED, PLANNED) == max(look_share(each, PLANNED) for each in all_looks)
    # Between two looks nothing changes.
    look = all_looks[-50]
    assert look_share(look, PLANNED) == look_share(int(look * 1.02), PLANNED)


def walked(arms: np.ndarray, enrolled: np.ndarray, seen: np.ndarray) -> bool:
    """Whether any look alarms. enrolled, seen: when; a unit that is never seen has infinity."""
    came = np.sort(seen[np.isfinite(seen)])
    for look in looks(PLANNED):
        if look > len(came):
            return False
        now = came[look - 1]
        there, has = enrolled <= now, seen <= now
        treatment = shares(int((has & arms).sum()), int((there & arms).sum()))
        control = shares(int((has & ~arms).sum()), int((there & ~arms).sum()))
        p = attrition_p_value(treatment, control, EVEN) / look_share(look, PLANNED)
        if p < ALPHA:
            return True
    return False


def stream(seed: int, units: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng, rng.random(units) < 0.5, np.arange(units, dtype=float)


@pytest.mark.parametrize("delay", [0.0, 30.0, 3000.0])
def test_false_alarms_at_any_look_however_late_outcomes_come(delay: float) -> None:
    alarms = 0
    for seed in range(60):
        rng, arms, enrolled = stream(seed, 4000)
        came = enrolled + delay * rng.exponential(size=4000)
        seen = np.where(rng.random(4000) < 0.6, came, np.inf)
        alarms += walked(arms, enrolled, seen)
    assert alarms <= 1


@pytest.mark.parametrize("delay", [0.0, 30.0, 1000.0])
def test_half_of_one_variants_errors_that_are_missing_are_found(delay: float) -> None:
    found = 0
    for seed in range(20):
        rng, arms, enrolled = stream(seed, 10_000)
        lost = arms & (rng.random(10_000) < 0.05)  # half of one answer in ten
        seen = np.where(lost, np.inf, enrolled + delay * rng.exponential(size=10_000))
        found += walked(arms, enrolled, seen)
    assert found == 20


def test_many_requests_of_few_units_are_no_more_units() -> None:
    """Shares that vary less say more; those of a hundred requests are no hundred units."""
    rng = np.random.default_rng(0)
    some, fewer = rng.beta(30, 70, 500), rng.beta(27, 73, 500)
    p = attrition_p_value(Summary.of(some), Summary.of(fewer), EVEN)
    assert p < 1e-9
    assert p < attrition_p_value(shares(150, 500), shares(135, 500), EVEN)


def test_nothing_to_tell_apart() -> None:
    assert attrition_p_value(Summary(), Summary(), EVEN) == 1
    assert attrition_p_value(shares(50, 50), shares(70, 70), EVEN) == 1
    assert attrition_p_value(shares(0, 50), shares(0, 70), (1, 9)) == 1
    assert attrition_p_value(shares(20, 50), Summary(), EVEN) == 1
    assert attrition_p_value(shares(0, 10**7), shares(10**7, 10**7), EVEN) == 0
