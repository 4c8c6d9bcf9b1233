"""Who is worth its cost among many."""

from __future__ import annotations

import numpy as np

from nestling.models import StudentSpec
from nestling.models.search.fronts import accuracy, front, fronts, gain, spread
from nestling.models.search.trials import Trial


def trial(cost: float, right: int, kept: float = 1.0, of: int = 10) -> Trial:
    spec = StudentSpec((0,), 1 + int(1e6 * cost) + right, (1,), (1,))
    return Trial(spec, cost, np.arange(of) < right, np.ones(of, np.float32), kept)


def test_a_front_rises_with_its_cost() -> None:
    dear, cheap, beaten, equal = trial(0.4, 9), trial(0.1, 7), trial(0.2, 6), trial(0.3, 7)
    assert front([dear, beaten, equal, cheap], accuracy) == [cheap, dear]


def test_who_keeps_too_few_texts_is_on_no_front() -> None:
    useless, useful = trial(0.1, 10, kept=0.1), trial(0.2, 3, kept=0.3)
    assert fronts([useless, useful]) == [useful]


def test_who_is_good_at_either_is_on_the_fronts() -> None:
    right, sure = trial(0.2, 9, kept=0.5), trial(0.3, 5, kept=0.9)
    assert fronts([sure, right]) == [right, sure]


def test_gain_is_over_who_costs_no_more() -> None:
    known = [trial(0.1, 5, kept=0.4), trial(0.3, 9, kept=0.9)]
    assert gain(trial(0.2, 6, kept=0.4), known) == np.float64(0.6) - 0.5
    assert gain(trial(0.05, 1), known) == np.inf
    assert gain(trial(0.4, 8, kept=0.8), known) < 0


def test_a_spread_keeps_both_ends() -> None:
    many = [trial(0.01 * 1.1**power, 5) for power in range(40)]
    few = spread(many, 8)
    assert len(few) <= 8
    assert (few[0], few[-1]) == (many[0], many[-1])
    assert spread(few, 8) == few
