"""How many texts a promise takes: against the split and the test that calibration has, and against
draws."""

from __future__ import annotations

import numpy as np
import pytest

from nestling.models.calibration.learn_then_test import split
from nestling.models.calibration.risk import fewest_examples, losses_allowed, p_value
from nestling.models.calibration.samples import (
    CONDITIONS,
    STEPS,
    Condition,
    Sample,
    fewest_texts,
    least_risk,
    sample,
    with_chance,
    without_loss,
)
from nestling.models.calibration.sizes import helps, most_testing, texts_in_all
from nestling.models.calibration.target import RiskTarget
from nestling.models.errors import NestlingError

EACH = pytest.mark.parametrize("condition", CONDITIONS.values(), ids=list(CONDITIONS))


def met(condition: Condition, found: Sample, true_risk: float) -> bool:
    return bool(condition(np.array(found.allowed), np.array(found.testing), true_risk))


@pytest.mark.parametrize("testing", [1, 43, 367, 598, 2366, 100_000])
def test_texts_in_all_are_the_fewest_that_leave_so_many_to_test(testing: int) -> None:
    def most(n: int) -> int:
        """At a risk so high that every text that tests is another loss that is allowed."""
        return len(split(n, 0.9999, 0.95, seed=0).testing)

    least = texts_in_all(testing)
    assert most(least) == testing > most(least - 1)


@pytest.mark.parametrize(("n", "alpha"), [(700, 0.005), (3000, 0.005), (3000, 0.02), (40, 0.1)])
def test_a_sample_is_what_calibration_makes_of_the_texts(n: int, alpha: float) -> None:
    parts, found = split(n, alpha, 0.95, seed=1), sample(n, alpha, 0.95)
    assert (found.ordering, found.testing) == (len(parts.ordering), len(parts.testing))
    assert found.allowed == losses_allowed(len(parts.testing), alpha, 0.95)


@EACH
@pytest.mark.parametrize(
    ("true_risk", "alpha", "confidence"),
    [
        (0.002, 0.005, 0.95),
        (0.0, 0.01, 0.9),
        (0.01, 0.03, 0.99),
        (0.2, 0.4, 0.5),
        (0.45, 0.9, 0.99999),
    ],
)
def test_fewest_texts_is_the_edge(
    condition: Condition, true_risk: float, alpha: float, confidence: float
) -> None:
    """Of all numbers of texts, tried one by one."""
    found = fewest_texts(condition, true_risk, alpha, confidence)
    assert found == sample(found.texts, alpha, confidence)
    assert found.allowed >= 0
    assert met(condition, found, true_risk)
    assert found.testing == fewest_examples(found.allowed, alpha, confidence)
    for fewer in range(max(1, found.texts - 150), found.texts):
        assert not met(condition, sample(fewer, alpha, confidence), true_risk)


@EACH
@pytest.mark.parametrize("true_risk", [None, 0.001, 0.002])
@pytest.mark.parametrize("texts", [700, 3000, 20_000])
def test_least_risk_is_the_edge_and_agrees_with_fewest_texts(
    condition: Condition, true_risk: float | None, texts: int
) -> None:
    found = least_risk(condition, true_risk, texts, 0.95)
    assert found == sample(texts, found.alpha, 0.95)
    for alpha, enough in ((found.alpha, True), (found.alpha - 1 / STEPS, False)):
        risk = alpha / 2 if true_risk is None else true_risk
        assert (alpha > risk and met(condition, sample(texts, alpha, 0.95), risk)) == enough
        if alpha > risk:
            assert (fewest_texts(condition, risk, alpha, 0.95).texts <= texts) == enough


def test_the_chance_is_that_of_draws() -> None:
    found = sample(3000, 0.005, 0.95)
    losses = np.random.default_rng(0).binomial(found.testing, 0.002, 200_000)
    passed = p_value(losses, found.testing, 0.005) <= 0.05
    assert found.chance(0.002) == pytest.approx(passed.mean(), abs=0.004)
    assert found.chance(0.005) <= 0.05


def test_no_number_of_texts_shows_a_risk_to_be_below_what_it_is() -> None:
    for true_risk in (0.005, 0.02):
        with pytest.raises(NestlingError, match=f"a true risk of {true_risk} is not below"):
            fewest_texts(without_loss, true_risk, 0.005, 0.95)
    assert fewest_texts(with_chance(0.5), 9e-6, 1e-5, 0.95) is None


def test_texts_held_out_count_only_where_they_order() -> None:
    """Of many texts they do not, and a number that would do if they did would not do."""
    condition = with_chance(0.8)
    found = fewest_texts(condition, 0.002, 0.005, 0.95, known=442)
    assert found == fewest_texts(condition, 0.002, 0.005, 0.95)
    assert met(condition, found, 0.002)
    assert not helps(442, found.texts, RiskTarget(0.005))
    fewer = fewest_texts(with_chance(0.5), 0.001, 0.005, 0.95, known=442)
    assert fewer.texts < fewest_texts(with_chance(0.5), 0.001, 0.005, 0.95).texts
    assert helps(442, fewer.texts, RiskTarget(0.005))
    assert fewer.testing <= most_testing(fewer.texts, known=442)


def test_so_few_texts_can_promise_nothing() -> None:
    with pytest.raises(NestlingError, match="texts: 50 are too few to promise anything"):
        least_risk(without_loss, None, 50, 0.95)
    assert least_risk(without_loss, None, 51, 0.95).alpha == 0.95
    assert least_risk(with_chance(0.8), None, 51, 0.95) is None
