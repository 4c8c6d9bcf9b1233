"""Both variants answered the same units."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.lift import lift
from nestling.experiments.statistics.mixture import Mixture
from nestling.experiments.statistics.pairs import paired_lift
from nestling.experiments.statistics.summary import Summary

from .walking import from_sums

MIXTURE = Mixture(0.05, 1000)


def test_pairs_find_what_two_groups_cannot() -> None:
    """Latencies that differ widely between units and little between variants."""
    rng = np.random.default_rng(0)
    unit = rng.lognormal(3, 1, 2000)
    control, treatment = unit + rng.normal(0, 1, 2000), unit - 1 + rng.normal(0, 1, 2000)
    apart = lift(Summary.of(treatment[::2]), Summary.of(control[1::2]), Kind.MEAN, MIXTURE)
    pairs = paired_lift(Summary.of(treatment - control), control.mean(), Kind.MEAN, MIXTURE)
    assert apart.p_value == 1
    assert pairs.p_value < 1e-6
    assert pairs.interval
    assert -1 in pairs.interval
    assert pairs.relative == pytest.approx(-1 / control.mean(), rel=0.1)


@pytest.mark.parametrize("differing", [0.02, 0.3])
def test_two_equal_students_raise_few_alarms(differing: float) -> None:
    rng, runs, alarms = np.random.default_rng(1), 1000, 0
    for _ in range(runs):
        sign = np.where(rng.random(3000) < 0.5, 1.0, -1.0) * (rng.random(3000) < differing)
        totals, differ = sign.cumsum().tolist(), np.abs(sign).cumsum().tolist()
        looks = [(n, totals[n - 1], differ[n - 1]) for n in range(100, 3001, 100)]
        alarms += any(
            paired_lift(from_sums(*look), 0.9, Kind.RATE, MIXTURE).p_value <= 0.05 for look in looks
        )
    assert alarms <= 0.05 * runs


def test_nothing_is_said_too_early() -> None:
    for differences, kind in [
        (Summary(99, 1.0, 5.0), Kind.MEAN),
        (Summary(1000, 0.0, 0.0), Kind.MEAN),
        (Summary.of([1.0] * 9 + [0.0] * 991), Kind.RATE),
    ]:
        found = paired_lift(differences, 0.0, kind, MIXTURE)
        assert (found.interval, found.p_value, found.relative) == (None, 1.0, None)
