"""Few numbers stand for many values, and nothing overflows in silence."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.experiments.statistics.summary import LARGEST, Joint, Summary

VALUES = st.lists(st.floats(-1e6, 1e6), max_size=30)


@given(VALUES, VALUES)
def test_merging_is_as_summing_up_at_once(one: list[float], other: list[float]) -> None:
    merged, whole = Summary.of(one).merge(Summary.of(other)), Summary.of(one + other)
    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, abs=1e-6)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)


def test_against_numpy() -> None:
    values = np.random.default_rng(0).normal(5, 2, 1000)
    summary = Summary.of(values)
    assert summary.mean == pytest.approx(values.mean())
    assert summary.variance == pytest.approx(values.var(ddof=1))
    assert summary.squared_error == pytest.approx(values.var(ddof=1) / 1000)


def test_none_and_one() -> None:
    assert Summary.of([]) == Summary() == Summary().merge(Summary())
    assert Summary.of([3.0]).squared_error == 0
    assert Summary().squared_error == 0
    assert Joint().merge(Joint()) == Joint()


@pytest.mark.parametrize("value", [nan, inf, -inf, 1e308, -1e308, 1.1 * LARGEST])
def test_refuses_values_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=r"values\[1\]: .* is not a number from"):
        Summary.of([1.0, value])
    with pytest.raises(ValueError, match="mean"):
        Summary(1, value)


def test_the_largest_values_stay_finite() -> None:
    both = Summary.of([LARGEST] * 50).merge(Summary.of([-LARGEST] * 50))
    assert both.mean == 0
    assert both.variance == pytest.approx(LARGEST**2 * 100 / 99)


@pytest.mark.parametrize(
    "fields", [{"n": -1}, {"n": 2, "m2": -1.0}, {"n": 2, "m2": nan}, {"n": 2, "m2": inf}]
)
def test_refuses_what_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"n: -1|m2: "):
        Summary(**fields)


def test_joint_merges_too() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=100)
    y = 0.5 * x + rng.normal(size=100)
    whole = Joint.of(y, x)
    assert whole.cross / 99 == pytest.approx(np.cov(y, x)[0, 1])
    merged = Joint.of(y[:30], x[:30]).merge(Joint.of(y[30:], x[30:]))
    assert merged.cross == pytest.approx(whole.cross)
    assert merged.outcome.m2 == pytest.approx(whole.outcome.m2)
    assert merged.n == 100


def test_the_difference_of_both_values() -> None:
    assert Joint.of([3.0, 5.0, 9.0], [1.0, 1.0, 1.0]).difference == Summary.of([2.0, 4.0, 8.0])
    found, exact = Joint.of([3, 5, 9], [1, 4, 6]).difference, Summary.of([2, 1, 3])
    assert (found.mean, found.m2) == (pytest.approx(exact.mean), pytest.approx(exact.m2))


def test_joint_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="zip"):
        Joint.of([1.0], [])
    with pytest.raises(ValueError, match="covariate"):
        Joint(Summary(1), Summary(2))
    with pytest.raises(ValueError, match="cross"):
        Joint(Summary(2, 0, 1), Summary(2, 0, 1), 1.1)
    with pytest.raises(ValueError, match="cross"):
        Joint(Summary(2, 0, 1), Summary(2, 0, 1), nan)
