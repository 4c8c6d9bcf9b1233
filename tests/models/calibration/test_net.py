"""The exact test of the net loss: its level against enumeration, its power against the binomial."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from nestling.models.calibration.choice import Choice, _ending, choose, divide
from nestling.models.calibration.evidence import Evidence, Floats, outcome
from nestling.models.calibration.learn_then_test import Split, split, walk
from nestling.models.calibration.net import NetTest, net_test
from nestling.models.calibration.outlook import outlooks
from nestling.models.calibration.path import estimated_risk, threshold_path
from nestling.models.calibration.risk import losses_allowed
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.score import Score
from nestling.models.errors import DataError

DELTA = 0.05
SIZES = [(12, 0.3), (20, 0.2), (45, 0.1), (60, 0.05), (60, 0.45)]


def chance(test: NetTest, r: float) -> float:
    """Of a rejection, enumerated, where r of the texts recover and r + alpha break."""
    n, b = test.texts, r + test.alpha
    total = 0.0
    for breaks in range(n + 1):
        for back in range(n - breaks + 1):
            if test.rejects(np.array([breaks]), np.array([back]))[0]:
                ways = math.comb(n, breaks) * math.comb(n - breaks, back)
                rest = max(0.0, 1 - b - r) ** (n - breaks - back)
                total += ways * b**breaks * r**back * rest
    return total


@pytest.mark.parametrize(("texts", "alpha"), SIZES)
def test_whatever_recovers_it_rejects_a_net_risk_of_alpha_at_most_with_delta(
    texts: int, alpha: float
) -> None:
    test = net_test(texts, alpha, 1 - DELTA)
    chances = [chance(test, r) for r in np.linspace(0, (1 - alpha) / 2, 23)]
    assert max(chances) <= DELTA
    assert test.most[0] >= 0 or texts * alpha < 3  # it is a test that can reject


@pytest.mark.parametrize(("texts", "alpha"), [(2100, 0.005), (2185, 0.01), (719, 0.02)])
def test_it_allows_what_the_binomial_test_allows_and_more_where_texts_recover(
    texts: int, alpha: float
) -> None:
    allowed = losses_allowed(texts, alpha, 0.95)
    test = net_test(texts, alpha, 0.95)
    back = np.arange(60)
    assert (test.allowed(back) >= allowed).all()
    assert (np.diff(test.most) >= 0).all()
    assert test.allowed(np.array([20]))[0] >= allowed + 12
    assert (test.allowed(back) < back + texts * alpha).all()  # never above what is promised


def test_it_keeps_its_level_and_comes_close_to_it_on_draws() -> None:
    texts, alpha, draws = 2000, 0.01, 20_000
    test = net_test(texts, alpha, 1 - DELTA)
    for r in (0.0, 0.004, 0.03):
        shares = [r + alpha, r, 1 - alpha - 2 * r]
        breaks, back, _ = np.random.default_rng(0).multinomial(texts, shares, draws).T
        rejected = test.rejects(breaks, back).mean()
        error = math.sqrt(DELTA * (1 - DELTA) / draws)
        assert 0.03 < rejected <= DELTA + 3 * error


@pytest.mark.parametrize(
    ("texts", "alpha", "confidence"),
    [(1, 0.5, 0.95), (3, 0.9, 0.9), (800, 0.9, 0.95), (200, 0.005, 0.99999), (90, 0.1, 0.1)],
)
def test_it_is_found_for_all_that_may_be_asked(texts: int, alpha: float, confidence: float) -> None:
    test = net_test(texts, alpha, confidence)
    exact = losses_allowed(texts, alpha, confidence)
    assert -1 <= test.most[0] <= exact


def test_its_bounds_say_what_passes() -> None:
    test = net_test(1000, 0.02, 0.95)
    breaks, back = (each.ravel() for each in np.meshgrid(np.arange(60), np.arange(40)))
    bounds = test.upper_bounds(breaks, back)
    assert ((bounds <= test.alpha) == test.rejects(breaks, back)).all()
    assert (bounds >= (breaks - back) / 1000).all()
    assert ((bounds > 0) & (bounds < 1)).all()


@cache
def population(lost: float = 0.0) -> Evidence:
    """20,000 texts and two students before a TA that is often wrong where they are right.

    lost: of the accuracy of both students, at random.
    """
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=20_000)
    confidence, right = [], []
    for skill, worse in ((2.6, lost), (2.8, lost), (2.8, 0.0)):
        z = skill - 1.3 * difficulty + rng.normal(scale=0.7, size=len(difficulty))
        confidence.append(1 / (1 + np.exp(-z)))
        answered = rng.random(len(z)) < 1 / (1 + np.exp(-1.2 * z))
        right.append(answered & (rng.random(len(z)) >= worse))
    ahead = np.array(right).astype(np.int8) - right[-1].astype(np.int8)
    cost = np.repeat(np.array([0.03, 0.13, 1.0])[:, None], len(difficulty), axis=1)
    return Evidence(np.array(confidence).astype(np.float32), -ahead, cost, 1e-5)


def net_risks(whole: Evidence, vectors: Floats) -> Floats:
    back = outcome(whole, vectors, whole.recovered.astype(np.float64)).losses
    return np.asarray((outcome(whole, vectors).losses - back) / whole.texts)


def test_a_walk_seldom_accepts_what_loses_more_than_promised() -> None:
    """Both students alone lose 5 %, of which the walk learns only from the texts that test."""
    whole, alpha, redraws = population(0.05), 0.03, 100
    exceeded, further = 0, 0
    for seed in range(redraws):
        rows = np.random.default_rng(seed).integers(0, whole.texts, 900)
        drawn, parts = whole.select(rows).stages((0, 2)), split(900, alpha, 1 - DELTA, seed)
        ordering, testing = drawn.select(parts.ordering), drawn.select(parts.testing)
        vectors = threshold_path(ordering, estimated_risk(ordering))
        test = net_test(testing.texts, alpha, 1 - DELTA)
        accepted = walk(testing, vectors, alpha, 1 - DELTA, test).accepted
        further += accepted - walk(testing, vectors, alpha, 1 - DELTA).accepted
        exceeded += bool((net_risks(whole.stages((0, 2)), vectors[:accepted]) > alpha).any())
    assert exceeded / redraws <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / redraws)
    assert exceeded  # it gives little away
    assert further / redraws > 5  # vectors of the path that `drop` does not reach


def chosen(evidence: Evidence, target: RiskTarget) -> tuple[Choice, Split]:
    parts = divide(evidence.texts, target, "c0ffee" * 10)
    return choose({Score.PROBABILITY: evidence}, evidence.cost, None, parts, target), parts


def test_a_student_that_loses_nothing_on_balance_is_the_whole_cascade() -> None:
    evidence = population().select(np.arange(4000))
    broken = evidence.broken[0].mean()
    choice, parts = chosen(evidence, RiskTarget(0.05, loss="net"))
    assert broken > 0.05
    assert choice.rows == (0,)
    assert choice.thresholds.tolist() == [0.0]
    assert choice.forecast.shares == (1.0,)
    assert choice.forecast.relative_flops == pytest.approx(0.03)
    assert choice.losses <= choice.allowed
    guarantee = choice.guarantee(RiskTarget(0.05, loss="net"), parts, "data", "weights")
    assert guarantee.observed_risk == (choice.losses - choice.recovered) / len(parts.testing)
    assert "score test" in guarantee.method
    assert list(outlooks(choice.trail, 0.05)) == []
    assert choice.trail.bounds[choice.trail.chosen] <= 0.05
    assert chosen(evidence, RiskTarget(0.05))[0].rows[-1] == 2  # what breaks alone is too much


def test_a_promise_of_the_drop_may_end_before_the_ta_too() -> None:
    evidence = population().select(np.arange(4000))
    choice, _ = chosen(evidence, RiskTarget(0.2))
    assert choice.rows[-1] < 2
    assert choice.thresholds[-1] == 0
    assert sum(choice.forecast.shares) == pytest.approx(1)
    assert choice.forecast.relative_flops < 0.2  # against the TA, which is no stage


def test_what_is_kept_before_a_cascade_without_the_ta_was_tested_without_it() -> None:
    vectors = np.array([[1, 1], [0.9, 0.7], [0.8, 0], [0.7, 0], [0.6, 0]])
    ending, chosen = _ending(vectors, 3)
    assert ending.tolist() == [[1, 0], [0.8, 0], [0.7, 0], [0.6, 0]]
    assert ending[chosen].tolist() == [0.7, 0]
    with_ta = np.array([[1, 0], [0.9, 0], [0.8, 0]])
    ending, chosen = _ending(with_ta, 1)
    assert (ending.tolist(), chosen) == (with_ta.tolist(), 1)


def test_what_cannot_be_shown_is_counted_both_ways() -> None:
    evidence = population(0.3).select(np.arange(400))
    with pytest.raises(
        DataError, match=r"keep the net below 1\.00% .* losses and \d+ recoveries in"
    ):
        chosen(evidence, RiskTarget(0.01, loss="net"))
