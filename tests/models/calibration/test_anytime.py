"""Bounds that hold at every moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.models.calibration.anytime import rate_bounds

DELTA = 0.05


@pytest.mark.parametrize("rate", [0.002, 0.05, 0.4])
def test_looking_after_every_text_is_wrong_in_at_most_delta_of_the_runs(rate: float) -> None:
    rng = np.random.default_rng(0)
    runs, texts = 300, 1000
    counts = np.cumsum(rng.random((runs, texts)) < rate, axis=1)
    # The set is left when the count crosses a line, so each number of texts needs two searches.
    ever = np.zeros(runs, dtype=bool)
    for n in range(1, texts + 1, 7):
        for count in np.unique(counts[:, n - 1]):
            low, high = rate_bounds(int(count), n, DELTA)
            if not low <= rate <= high:
                ever |= counts[:, n - 1] == count
    assert ever.mean() <= DELTA + 3 * (DELTA * (1 - DELTA) / runs) ** 0.5


def test_sums_of_fractions_are_bounded_as_counts_are() -> None:
    rng, runs, missed = np.random.default_rng(0), 300, 0
    for _ in range(runs):
        totals = np.cumsum(rng.beta(0.2, 0.8, 500)).tolist()
        bounds = [rate_bounds(totals[n - 1], n, DELTA, (0.5, 0.5)) for n in (1, 5, 20, 100, 500)]
        missed += any(not low <= 0.2 <= high for low, high in bounds)
    assert missed <= DELTA * runs


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_bounds_hold_the_observed_rate(successes: int, failures: int) -> None:
    n = successes + failures
    low, high = rate_bounds(successes, n, DELTA)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= successes / n <= high


def test_they_close_in() -> None:
    widths = [high - low for low, high in (rate_bounds(n // 50, n, DELTA) for n in (50, 500, 5000))]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.015


@pytest.mark.parametrize(
    ("successes", "trials", "delta"), [(3, 2, 0.1), (-1, 2, 0.1), (1, 2, 0), (1, 2, 1)]
)
def test_refuses_what_cannot_be(successes: int, trials: int, delta: float) -> None:
    with pytest.raises(ValueError, match=r"successes|delta"):
        rate_bounds(successes, trials, delta)
