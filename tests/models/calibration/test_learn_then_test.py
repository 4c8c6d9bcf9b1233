"""The guarantee, by simulation: how often is the stated risk exceeded on redrawn data?"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from nestling.models.calibration.evidence import Evidence, accepts, outcome
from nestling.models.calibration.learn_then_test import plan, split, walk
from nestling.models.calibration.path import NEVER, estimated_risk, threshold_path
from nestling.models.calibration.risk import losses_allowed

REDRAWS = 1000
CONFIDENCE = 0.9
MARGIN = 1e-5
COSTS = (0.03, 0.13, 1.0)


@cache
def synthetic() -> Evidence:
    """20,000 texts of random difficulty; two students and the TA, each a noisy judge of it."""
    rng = np.random.default_rng(0)
    texts = 20_000
    difficulty = rng.normal(size=texts)
    confidence, right = [], []
    for skill in (2.2, 2.8, 3.3):
        score = skill - 1.3 * difficulty + rng.normal(scale=0.7, size=texts)
        confidence.append(1 / (1 + np.exp(-score)))
        right.append(rng.random(texts) < 1 / (1 + np.exp(-1.2 * score)))
    return as_evidence(np.array(confidence), np.array(right))


@cache
def digits() -> Evidence:
    """Real predictions: three classifiers of handwritten digits that see more and more pixels."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    pixels, truth = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(truth))
    pixels, truth = pixels[order] / 16, truth[order]
    confidence, right = [], []
    for step, strength in ((4, 0.3), (2, 0.3), (1, 1.0)):
        seen = pixels[:, ::step]
        model = LogisticRegression(C=strength, max_iter=300).fit(seen[:500], truth[:500])
        probability = model.predict_proba(seen[500:])
        confidence.append(probability.max(axis=1))
        right.append(probability.argmax(axis=1) == truth[500:])
    return as_evidence(np.array(confidence), np.array(right))


def as_evidence(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Evidence:
    cost = np.repeat(np.array(COSTS)[:, None], right.shape[1], axis=1)
    return Evidence(confidence.astype(np.float32), ~right & right[-1], cost, MARGIN)


def risk_of(population: Evidence, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return outcome(population, vectors).losses / population.texts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("population", "n", "alpha"), [(synthetic, 900, 0.03), (digits, 700, 0.03)]
)
def test_the_stated_risk_is_exceeded_in_at_most_delta_of_redraws(
    population: object, n: int, alpha: float
) -> None:
    """Draws with replacement are independent draws from the population, whose risk is known.

    Judged by the worst vector of all that were accepted, which is what the theorem is about.
    """
    whole: Evidence = population()  # type: ignore[operator]
    exceeded, naive, saved, stages = 0, 0, [], set()
    for seed in range(REDRAWS):
        rng = np.random.default_rng(seed)
        drawn = whole.select(rng.integers(0, whole.texts, n))
        parts = split(n, alpha, CONFIDENCE, REDRAWS + seed)
        allowed = losses_allowed(len(parts.testing), alpha, CONFIDENCE)
        tested = plan(drawn.select(parts.ordering), (allowed + 0.5) / len(parts.testing))
        chosen, all_of_it = drawn.stages(tested.stages), whole.stages(tested.stages)
        walked = walk(chosen.select(parts.testing), tested.vectors, alpha, CONFIDENCE)
        accepted = tested.vectors[: walked.accepted]
        exceeded += bool((risk_of(all_of_it, accepted[-6:]) > alpha).any())
        saved.append(1 - outcome(chosen, accepted).cost.min() / COSTS[-1])
        stages.add(len(tested.stages))
        seen = walked.losses / len(parts.testing) <= alpha  # what one sees is what one gets?
        plugged = tested.vectors[np.flatnonzero(seen)[-1]][None]
        naive += bool(risk_of(all_of_it, plugged)[0] > alpha)
    delta, noise = 1 - CONFIDENCE, 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / REDRAWS)
    assert exceeded / REDRAWS <= delta + noise
    assert exceeded > 0  # the test has no slack to hide in: it is exact
    assert naive / REDRAWS > 3 * delta
    assert np.mean(saved) > 0.3
    assert {2, 3} >= stages


def tiny_saver(drawn: Evidence, right: NDArray[np.bool_]) -> float:
    """TinySaver's rule (2403.17726): the lowest threshold above which the saver (the first
    student) is at least as accurate as the base on the texts that it takes."""
    order = np.argsort(-drawn.score[0])
    ahead = np.cumsum(right[0][order].astype(int) - right[-1][order].astype(int))
    behind = np.flatnonzero(ahead < 0)
    last = behind[0] - 1 if len(behind) else len(order) - 1
    return float(drawn.score[0][order][last]) - MARGIN if last >= 0 else NEVER


def test_tiny_savers_rule_promises_nothing() -> None:
    """It reads off the data what it should test: it often loses accuracy where it says none."""
    whole = synthetic()
    rng = np.random.default_rng(0)
    ta_right = rng.random(whole.texts) < 0.9
    right = np.array([~loss & (ta_right | (rng.random(whole.texts) < 0.3)) for loss in whole.loss])
    right[-1] = ta_right | whole.loss[0]
    lost = 0
    for seed in range(300):
        rows = np.random.default_rng(seed).integers(0, whole.texts, 900)
        threshold = tiny_saver(whole.select(rows), right[:, rows])
        taken = accepts(whole.score[0], threshold, MARGIN)
        lost += bool((right[0][taken].mean() if taken.any() else 1) < right[-1][taken].mean())
    assert lost / 300 > 0.2


def test_thresholds_only_fall_along_the_path() -> None:
    ordering = synthetic().select(np.arange(600))
    vectors = threshold_path(ordering, estimated_risk(ordering))
    assert (vectors[0] == [NEVER, NEVER, 0]).all()
    assert (np.diff(vectors, axis=0) <= 0).all()
    assert (vectors[:, -1] == 0).all()
    always = vectors[:, :-1] <= 0  # no text of the ordering part reaches the stages after it
    assert (outcome(ordering, vectors).shares[:, 1:][always] == 0).all()
    risk = risk_of(synthetic(), vectors)
    assert np.diff(risk).max() < 0.01
    assert risk[0] == 0
    assert risk[-1] > 0.03


def test_the_walk_stops_at_its_first_failure() -> None:
    texts = 1000
    confidence = np.array([np.linspace(0.999, 0.1, texts), np.ones(texts)])
    loss = np.zeros((2, texts), dtype=bool)
    loss[0, 300:310] = True  # only here
    evidence = Evidence(confidence.astype(np.float32), loss, np.ones((2, texts)), MARGIN)
    vectors = np.stack([np.linspace(1, 0.1, 50), np.zeros(50)], axis=1)
    walked = walk(evidence, vectors, 0.01, 0.95)
    allowed = losses_allowed(texts, 0.01, 0.95)
    assert walked.losses[walked.accepted - 1] <= allowed < walked.losses[walked.accepted]
    assert (np.diff(walked.losses) >= 0).all()


def test_outcome_counts_like_a_loop() -> None:
    evidence = synthetic().select(np.arange(200))
    vectors = np.array([[0.9, 0.8, 0.0], [NEVER, 0.5, 0.0], [1e-4, NEVER, 0.0]])
    result = outcome(evidence, vectors)
    for row, vector in enumerate(vectors):
        losses, cost, shares = 0, 0.0, [0, 0, 0]
        for text in range(200):
            for stage in range(3):
                cost += COSTS[stage]
                asked = np.float32(vector[stage]) + np.float32(MARGIN)
                if evidence.score[stage, text] >= asked or vector[stage] <= 0:
                    losses += int(evidence.loss[stage, text])
                    shares[stage] += 1
                    break
        assert result.losses[row] == losses
        assert result.cost[row] == pytest.approx(cost / 200)
        assert result.shares[row] == pytest.approx(np.array(shares) / 200)


def test_a_useless_student_is_no_stage() -> None:
    """One that costs nearly what it saves, beside one that is cheap and as good."""
    rng = np.random.default_rng(1)
    score = rng.normal(2.5, 1.5, size=3000)
    confidence = 1 / (1 + np.exp(-np.array([score, score + 0.01 * rng.normal(size=3000), score])))
    right = rng.random((3, 3000)) < confidence
    right[-1] |= right[0] | (rng.random(3000) < 0.8)
    evidence = as_evidence(confidence, right)
    evidence.cost[1] = 0.9
    assert plan(evidence, 0.02).stages == (0, 2)
