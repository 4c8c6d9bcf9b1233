"""Texts held out of training order the tests, so that those of the calibration test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nestling.models import Checkpoint, DataError
from nestling.models.calibration.calibrate import Calibrated, calibrate
from nestling.models.calibration.choice import check_enough, helps
from nestling.models.calibration.known import worth_knowing
from nestling.models.calibration.learn_then_test import (
    FEWEST_ORDERING,
    most_testing,
    texts_in_all,
)
from nestling.models.calibration.risk import fewest_examples
from nestling.models.calibration.target import RiskTarget
from nestling.models.checkpoint.held_out import HeldOutAnswers, write_held_out
from nestling.models.evaluation.predictions import Predictions
from nestling.models.precision import margin_of

from ...conftest import LABELS

TEXTS = 600
TARGET = RiskTarget(0.02)


def drawn(checkpoint: Checkpoint, texts: int, seed: int) -> tuple[Predictions, torch.Tensor]:
    """Students that are the surer, the more often they are right; larger ones are right on more."""
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(rng.integers(len(LABELS), size=texts))
    hardness = torch.from_numpy(rng.random(texts))
    students, logits = tuple(checkpoint.students.values()), {}
    for student, skill in zip(students, (0.9, 0.95, 0.99), strict=True):
        wrong = hardness > skill
        said = torch.where(wrong, (truth + 1) % len(LABELS), truth)
        noise = torch.from_numpy(rng.random(texts))
        logits[student.name] = torch.zeros(texts, len(LABELS), dtype=torch.float64)
        logits[student.name][torch.arange(texts), said] = 6 * (1 - hardness) + noise
    return Predictions(students, logits, ((1, 2, 3),) * texts), truth


def held_out(checkpoint: Checkpoint, texts: int) -> HeldOutAnswers:
    found, truth = drawn(checkpoint, texts, seed=1)
    return HeldOutAnswers(truth, torch.full((texts,), 3), found.logits)


def calibrated(checkpoint: Checkpoint, known: HeldOutAnswers | None) -> Calibrated:
    predictions, truth = drawn(checkpoint, TEXTS, seed=0)
    margin = margin_of("float32")
    return calibrate(checkpoint, predictions, truth, TARGET, "c", "ab" * 32, margin, held_out=known)


def test_they_order_in_place_of_others(checkpoint: Checkpoint) -> None:
    alone = calibrated(checkpoint, None).cascade.guarantee
    helped = calibrated(checkpoint, held_out(checkpoint, 200)).cascade.guarantee
    assert alone is not None
    assert helped is not None
    assert (alone.held_out_examples, helped.held_out_examples) == (0, 200)
    assert alone.examples + alone.ordering_examples == TEXTS
    assert helped.examples + helped.ordering_examples == TEXTS
    assert helped.examples > alone.examples


def test_texts_that_test_have_no_part_in_the_order(checkpoint: Checkpoint) -> None:
    """Where no text of the calibration must order, its labels leave path and temperatures alone."""
    known = held_out(checkpoint, 300)
    predictions, truth = drawn(checkpoint, fewest_examples(3, TARGET.alpha, 0.95), seed=0)
    other = truth.clone()
    other[:2] = (truth[:2] + 2) % len(LABELS)
    margin = margin_of("float32")
    first, second = (
        calibrate(checkpoint, predictions, labels, TARGET, "c", "ab" * 32, margin, held_out=known)
        for labels in (truth, other)
    )
    assert first.cascade.guarantee is not None
    assert first.cascade.guarantee.ordering_examples == 0
    assert first.temperatures == second.temperatures
    assert first.choice.trail.rows == second.choice.trail.rows
    assert np.array_equal(first.choice.trail.vectors, second.choice.trail.vectors)


@pytest.mark.parametrize("known", [0, 20, 50, 120, 1000])
@pytest.mark.parametrize("texts", [60, 200, 1000, 5000])
def test_they_count_as_texts_that_order(texts: int, known: int) -> None:
    must = max(FEWEST_ORDERING, -(-texts // 4))
    assert most_testing(texts, known=known) == texts - max(0, must - known)
    testing = most_testing(texts, known=known)
    if testing > 0:
        least = texts_in_all(testing, known=known)
        assert least <= texts
        assert most_testing(least, known=known) >= testing


def test_fewer_texts_are_enough_with_them() -> None:
    needed = fewest_examples(0, 0.005, 0.95)
    check_enough(needed, RiskTarget(0.005), known=1000)
    with pytest.raises(DataError, match=f"it takes {texts_in_all(needed):,}"):
        check_enough(needed, RiskTarget(0.005))


@pytest.mark.parametrize(
    ("texts", "alpha", "worth"),
    [(1000, 0.01, True), (999, 0.005, True), (3000, 0.005, True), (3000, 0.02, False)],
)
def test_they_order_where_that_lets_more_be_lost(texts: int, alpha: float, worth: bool) -> None:
    assert helps(1000, texts, RiskTarget(alpha)) == worth
    assert not helps(0, texts, RiskTarget(alpha))


def test_a_checkpoint_has_them_or_not(checkpoint: Checkpoint) -> None:
    assert worth_knowing(checkpoint, 1000, RiskTarget(0.01)) is None
    write_held_out(checkpoint.path, held_out(checkpoint, 300), checkpoint.weights_sha256)
    found = worth_knowing(checkpoint, 1000, RiskTarget(0.01))
    assert found is not None
    assert len(found) == 300
    assert worth_knowing(checkpoint, 3000, RiskTarget(0.02)) is None


def test_of_a_net_risk_and_of_none_with_labels(checkpoint: Checkpoint) -> None:
    predictions, truth = drawn(checkpoint, TEXTS, seed=0)
    known = held_out(checkpoint, 200)
    for loss in ("net", "disagreement"):
        target = replace(TARGET, loss=loss)
        labels = truth if target.needs_labels else None
        found = calibrate(
            checkpoint, predictions, labels, target, "c", "ab" * 32, margin_of("float32"),
            held_out=known,
        )  # fmt: skip
        assert found.choice.known == 200
