"""The line of the normal mixture, against published values and against its promise."""

from __future__ import annotations

from math import exp, inf, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from nestling.experiments.statistics.mixture import Mixture


def test_published_values() -> None:
    """Of the R package confseq by the authors of arXiv 1810.08240, its unit test."""
    mixture = Mixture(0.05, 100)
    assert mixture.precision == pytest.approx(12.60056, abs=1e-5)
    assert mixture.log_evidence(10 / sqrt(100), 100) == pytest.approx(-0.6510052, abs=1e-6)
    assert mixture.standard_errors(100) * sqrt(100) == pytest.approx(30.35209, abs=1e-5)


def test_it_is_the_mixture_of_likelihood_ratios() -> None:
    mixture, n, total = Mixture(0.05, 100), 70, 13.0
    scale = 1 / sqrt(mixture.precision)
    mixed, _ = quad(lambda x: exp(x * total - n * x * x / 2) * norm.pdf(x, 0, scale), -3, 3)
    assert mixture.log_evidence(total / sqrt(n), n) == pytest.approx(log(mixed), abs=1e-9)


def test_it_is_the_formula_of_asymptotic_confidence_sequences() -> None:
    """arXiv 2103.06476, with t units, ρ and the standard deviation of one."""
    alpha, t, deviation = 0.05, 900, 3.0
    mixture = Mixture(alpha, 1000)
    rho2 = 1 / mixture.precision
    theirs = deviation * sqrt(2 * (t * rho2 + 1) / (t * t * rho2) * log(sqrt(t * rho2 + 1) / alpha))
    ours = mixture.standard_errors(t) * deviation / sqrt(t)
    assert ours == pytest.approx(theirs)


@given(st.floats(0.001, 0.5), st.integers(2, 10**6), st.integers(1, 10**7))
def test_interval_and_p_value_agree(alpha: float, best_at: int, n: int) -> None:
    mixture = Mixture(alpha, best_at)
    line = mixture.standard_errors(n)
    assert mixture.p_value(line, n) == pytest.approx(alpha)
    assert mixture.p_value(1.01 * line, n) < alpha < mixture.p_value(0.99 * line, n)
    assert mixture.p_value(0, n) == 1


def test_narrowest_where_it_is_meant_to_be() -> None:
    widths = {best: Mixture(0.05, best).standard_errors(5000) for best in (100, 5000, 10**6)}
    assert min(widths, key=widths.__getitem__) == 5000
    assert 1.4 < widths[5000] / norm.ppf(0.975) < 1.6


def test_units_for_a_half_width() -> None:
    mixture = Mixture(0.05, 10_000)
    n = mixture.units(0.1, spread=4.0)
    assert mixture.standard_errors(n) * 2 / sqrt(n) <= 0.1
    assert mixture.standard_errors(n - 1) * 2 / sqrt(n - 1) > 0.1
    assert mixture.units(1e-9, 1.0) == inf
    with pytest.raises(ValueError, match="half_width"):
        mixture.units(0, 1.0)


def test_brownian_motion_crosses_in_at_most_alpha_of_the_walks() -> None:
    mixture, walks, steps = Mixture(0.1, 300), 4000, 3000
    rng = np.random.default_rng(0)
    line = np.array([mixture.standard_errors(n) * sqrt(n) for n in range(1, steps + 1)])
    crossed = sum(
        int((np.abs(np.cumsum(rng.normal(size=steps))) > line).any()) for _ in range(walks)
    )
    assert 0.04 < crossed / walks < 0.1  # below, for it might still cross; but not idly far


@pytest.mark.parametrize(
    ("alpha", "best_at"), [(0, 1), (1, 1), (nan, 1), (0.1, 0), (0.1, nan), (0.1, 1e308)]
)
def test_refuses_what_cannot_be(alpha: float, best_at: float) -> None:
    with pytest.raises(ValueError, match=r"alpha|best_at"):
        Mixture(alpha, best_at)
