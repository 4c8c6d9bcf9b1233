"""Temperatures and p-values, against other implementations and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binomtest

from nestling.models.calibration.learn_then_test import split
from nestling.models.calibration.risk import (
    examples_needed,
    fewest_examples,
    losses_allowed,
    p_value,
    upper_bounds,
)
from nestling.models.calibration.sizes import ORDERING_SHARE
from nestling.models.calibration.temperature import calibration_error, fit_temperature

from ...conftest import task_with

SIX = task_with(6)


def overconfident(count: int, factor: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are `factor` times too large for the labels drawn from them."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 6, generator=generator)
    labels = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator).flatten()
    return factor * logits, labels


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_temperature_undoes_a_wrong_scale(factor: float) -> None:
    logits, labels = overconfident(4000, factor)
    fitted = fit_temperature(SIX, logits, labels)
    assert fitted == pytest.approx(factor, rel=0.1)

    def loss(temperature: float) -> float:
        return F.cross_entropy(logits.double() / temperature, labels).item()

    tried = np.append(np.geomspace(0.05, 20, 500), fitted * np.array([0.9999, 1.0001]))
    assert loss(fitted) < min(map(loss, tried.tolist()))


@pytest.mark.parametrize(("factor", "bound"), [(1.0, 0.05), (-1.0, 20.0)])
def test_temperature_stays_within_its_bounds(factor: float, bound: float) -> None:
    labels = torch.arange(6).repeat(5)
    logits = factor * torch.nn.functional.one_hot(labels, 6)  # always right, or never
    assert fit_temperature(SIX, logits, labels) == pytest.approx(bound, rel=1e-6)


def test_temperature_lowers_the_calibration_error() -> None:
    logits, labels = overconfident(4000, 3.0)
    right = logits.argmax(-1) == labels

    def error(temperature: float) -> float:
        return calibration_error(torch.softmax(logits / temperature, -1).amax(-1), right)

    assert error(fit_temperature(SIX, logits, labels)) < 0.03 < error(1.0)


def test_calibration_error_of_known_cases() -> None:
    sure, right = torch.ones(4), torch.tensor([True, True, True, False])
    assert calibration_error(sure, right) == pytest.approx(0.25)
    assert calibration_error(torch.full((4,), 0.75), right) == pytest.approx(0.0)
    mixed = torch.tensor([0.9, 0.9, 0.5, 0.5])
    assert calibration_error(mixed, right) == pytest.approx((0.2 + 0.0) / 4, abs=1e-6)


def test_temperature_needs_a_text() -> None:
    with pytest.raises(ValueError, match="at least one labelled text"):
        fit_temperature(SIX, torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.3), (77, 0.05), (2630, 0.005), (20000, 0.01)])
def test_p_value_is_the_binomial_test(n: int, alpha: float) -> None:
    losses = np.unique(np.linspace(0, min(n, 400), 12).astype(np.int64))
    expected = [binomtest(int(k), n, alpha, alternative="less").pvalue for k in losses]
    np.testing.assert_allclose(p_value(losses, n, alpha), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(("n", "alpha"), [(1, 0.3), (77, 0.05), (2630, 0.005)])
def test_upper_bounds_are_exact_and_pass_where_the_test_does(n: int, alpha: float) -> None:
    losses = np.unique(np.linspace(0, n, 40).astype(np.int64))
    bounds = upper_bounds(losses, n, 0.95)
    found = [binomtest(int(k), n, alternative="less").proportion_ci(0.95).high for k in losses]
    np.testing.assert_allclose(bounds, found, rtol=1e-9)
    assert ((bounds <= alpha) == (p_value(losses, n, alpha) <= 0.05)).all()


@pytest.mark.parametrize(("n", "alpha"), [(300, 0.05), (2630, 0.005)])
def test_p_value_is_that_of_mapie(n: int, alpha: float) -> None:
    """MAPIE counts ⌈n · rate⌉ losses; its general p-value, for losses in [0, 1], is larger."""
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value as mapie

    losses = np.arange(1, int(n * alpha) + 1)
    rate = (losses - 1e-6) / n
    exact = p_value(losses, n, alpha)
    np.testing.assert_allclose(mapie(rate, n, alpha, binary=True).ravel(), exact, rtol=1e-9)
    assert (exact < mapie(rate, n, alpha).ravel()).all()


def test_p_value_is_valid_at_the_boundary() -> None:
    """P(p ≤ u) ≤ u when the risk is exactly alpha, for every u that p can take."""
    n, alpha = 400, 0.02
    draws = np.random.default_rng(0).binomial(n, alpha, 200_000)
    p = p_value(draws, n, alpha)
    for u in np.unique(p)[:12]:
        assert (p <= u).mean() <= u + 4 * np.sqrt(u / len(p))


@pytest.mark.parametrize("alpha", [0.005, 0.01, 0.1])
@pytest.mark.parametrize("n", [50, 598, 2630, 10_000])
def test_losses_allowed_is_the_edge(n: int, alpha: float) -> None:
    allowed = losses_allowed(n, alpha, 0.95)
    assert allowed < 0 or p_value(np.array([allowed]), n, alpha)[0] <= 0.05
    assert p_value(np.array([allowed + 1]), n, alpha)[0] > 0.05


@pytest.mark.parametrize("losses", [0, 1, 7, 40])
def test_fewest_examples_is_the_edge(losses: int) -> None:
    n = fewest_examples(losses, 0.01, 0.95)
    assert losses_allowed(n, 0.01, 0.95) == losses
    assert losses_allowed(n - 1, 0.01, 0.95) == losses - 1


def test_examples_needed() -> None:
    assert examples_needed(0.0, 0.01, 0.95) == fewest_examples(0, 0.01, 0.95) == 299
    assert examples_needed(0.01, 0.01, 0.95) is None
    needed = examples_needed(0.005, 0.01, 0.95)
    assert needed is not None
    assert 900 < needed < 1200
    assert losses_allowed(needed, 0.01, 0.95) >= np.ceil(0.005 * needed)


@pytest.mark.parametrize("alpha", [0.005, 0.01, 0.05])
@pytest.mark.parametrize("n", [700, 3000, 12_345])
def test_split_keeps_every_allowed_loss(n: int, alpha: float) -> None:
    parts = split(n, alpha, 0.95, seed=3)
    assert sorted([*parts.ordering, *parts.testing]) == list(range(n))
    assert len(parts.ordering) >= ORDERING_SHARE * n
    most = n - int(np.ceil(ORDERING_SHARE * n))
    allowed = losses_allowed(most, alpha, 0.95)
    assert losses_allowed(len(parts.testing), alpha, 0.95) == allowed
    if allowed >= 0:
        assert losses_allowed(len(parts.testing) - 1, alpha, 0.95) == allowed - 1


def test_split_is_a_matter_of_its_seed_alone() -> None:
    first, second, other = (split(3000, 0.005, 0.95, seed=s) for s in (1, 1, 2))
    assert (first.testing == second.testing).all()
    assert (first.testing != other.testing).any()
