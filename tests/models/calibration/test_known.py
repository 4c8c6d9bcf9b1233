"""Texts held out of training order the tests, so that those of the calibration test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nestling.models import Checkpoint, DataError
from nestling.models.calibration.calibrate import Calibrated, calibrate
from nestling.models.calibration.choice import SCORES, check_enough, choose, divide
from nestling.models.calibration.cost import flops_of
from nestling.models.calibration.gather import gather
from nestling.models.calibration.known import KnownTexts, worth_knowing
from nestling.models.calibration.risk import examples_needed, fewest_examples
from nestling.models.calibration.sizes import (
    FEWEST_ORDERING,
    helps,
    most_testing,
    texts_in_all,
    texts_needed,
    useful,
)
from nestling.models.calibration.target import RiskTarget
from nestling.models.calibration.temperature import fit_temperature
from nestling.models.checkpoint.held_out import HeldOutAnswers, write_held_out
from nestling.models.evaluation.predictions import Predictions
from nestling.models.precision import margin_of

from ...conftest import LABELS, task_with

TEXTS = 600
TARGET = RiskTarget(0.02)
SHA = "ab" * 32
TASK = task_with(len(LABELS))


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
    return Predictions(TASK, students, logits, ((1, 2, 3),) * texts), truth


def held_out(checkpoint: Checkpoint, texts: int) -> HeldOutAnswers:
    found, truth = drawn(checkpoint, texts, seed=1)
    return HeldOutAnswers(TASK, truth, torch.full((texts,), 3), found.logits)


def calibrated(checkpoint: Checkpoint, known: HeldOutAnswers | None) -> Calibrated:
    predictions, truth = drawn(checkpoint, TEXTS, seed=0)
    margin = margin_of("float32")
    return calibrate(checkpoint, predictions, truth, TARGET, "c", SHA, margin, held_out=known)


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
    """Where hardly a text of the calibration must order, the labels of the others leave path and
    temperatures alone."""
    known = held_out(checkpoint, 300)
    texts = FEWEST_ORDERING + fewest_examples(3, TARGET.alpha, 0.95)
    predictions, truth = drawn(checkpoint, texts, seed=0)
    testing = torch.from_numpy(divide(texts, TARGET, SHA, known=300).testing)
    assert len(testing) == texts - FEWEST_ORDERING
    other = truth.clone()
    other[testing[:2]] = (truth[testing[:2]] + 2) % len(LABELS)
    margin = margin_of("float32")
    first, second = (
        calibrate(checkpoint, predictions, labels, TARGET, "c", SHA, margin, held_out=known)
        for labels in (truth, other)
    )
    assert first.cascade.guarantee is not None
    assert first.cascade.guarantee.ordering_examples == FEWEST_ORDERING
    assert first.temperatures == second.temperatures
    assert first.choice.trail.rows == second.choice.trail.rows
    assert np.array_equal(first.choice.trail.vectors, second.choice.trail.vectors)


def test_temperatures_are_as_much_of_the_calibrations_texts(checkpoint: Checkpoint) -> None:
    """However few of them order: what students have wrong there counts for half."""
    texts, others = FEWEST_ORDERING + fewest_examples(3, TARGET.alpha, 0.95), 300
    known = held_out(checkpoint, others)
    predictions, truth = drawn(checkpoint, texts, seed=0)
    ordering = torch.from_numpy(divide(texts, TARGET, SHA, known=others).ordering)
    assert len(ordering) == FEWEST_ORDERING
    truth[ordering[:10]] = (truth[ordering[:10]] + 2) % len(LABELS)
    margin = margin_of("float32")
    found = calibrate(checkpoint, predictions, truth, TARGET, "c", SHA, margin, held_out=known)
    for name, temperature in found.temperatures.items():
        own, theirs = predictions.logits[name][ordering], known.logits[name]
        for times, same in ((others // FEWEST_ORDERING, True), (1, False)):
            logits = torch.cat([*[own] * times, theirs])
            right = torch.cat([*[truth[ordering]] * times, known.labels])
            fitted = fit_temperature(TASK, logits, right)
            assert (temperature == pytest.approx(fitted, rel=1e-3)) == same


@pytest.mark.parametrize("known", [0, 20, 50, 120, 1000])
@pytest.mark.parametrize("texts", [60, 200, 1000, 5000])
def test_they_count_as_texts_that_order(texts: int, known: int) -> None:
    must = max(FEWEST_ORDERING, -(-texts // 4) - known)
    assert most_testing(texts, known=known) == texts - must
    testing = most_testing(texts, known=known)
    least = texts_in_all(testing, known=known)
    assert least <= texts
    assert most_testing(least, known=known) >= testing


@pytest.mark.parametrize(
    ("testing", "alpha", "known", "texts"),
    [
        (598, 0.005, 442, 648),  # without them nothing passes
        (2100, 0.005, 442, 2566),  # some help
        (3638, 0.005, 442, 4851),  # those who bring 4,262 would be asked for more
        (1258, 0.02, 300, 1678),
        (3638, 0.005, 0, 4851),
    ],
)
def test_so_many_texts_would_do_and_so_would_more(
    testing: int, alpha: float, known: int, texts: int
) -> None:
    target = RiskTarget(alpha)
    assert texts_needed(testing, target, known) == texts
    for n in (texts, texts + 1, texts + 57):
        assert most_testing(n, known=useful(known, n, target)) >= testing
    assert most_testing(texts - 1, known=useful(known, texts - 1, target)) < testing


def test_the_advice_is_a_number_that_would_do(checkpoint: Checkpoint) -> None:
    """Where more are lost than the test allows, of texts that the held-out ones help to order."""
    texts, others, target = 1000, 442, RiskTarget(0.005)
    assert helps(others, texts, target)
    predictions, truth = drawn(checkpoint, texts, seed=0)
    known = KnownTexts.of(held_out(checkpoint, others), predictions.students, target)
    parts = divide(texts, target, SHA, known=others)
    lost, ta = parts.testing[:3], predictions.ta.name
    for name in predictions.logits.keys() - {ta}:  # sure and wrong, where the TA is right
        predictions.logits[name][lost] = 9 * torch.eye(len(LABELS)).double()[truth[lost] - 1]
    predictions.logits[ta][lost] = torch.eye(len(LABELS)).double()[truth[lost]]
    flops = flops_of(predictions.students, [3] * texts)
    ones = dict.fromkeys(predictions.logits, 1.0)
    evidence = {s: gather(predictions, truth, ones, s, flops, 0.0) for s in SCORES}
    theirs = known.evidence(SCORES, ones, flops_of(predictions.students, known.tokens), 0.0)
    needed = examples_needed(3 / 947, target.alpha, target.confidence)
    assert needed is not None
    alone = texts_in_all(needed)  # of so many the held-out ones no longer order
    assert texts_in_all(needed, known=others) < alone
    with pytest.raises(DataError, match=f"3 losses in 947 .* about {alone:,} examples would"):
        choose(evidence, flops, None, parts, target, theirs)


def test_fewer_texts_are_enough_with_them() -> None:
    needed = fewest_examples(0, 0.005, 0.95)
    fewest = needed + FEWEST_ORDERING
    check_enough(fewest, RiskTarget(0.005), known=1000)
    with pytest.raises(DataError, match=f"it takes {texts_in_all(needed):,}"):
        check_enough(fewest, RiskTarget(0.005))


@pytest.mark.parametrize(
    ("texts", "alpha", "worth"),
    [(1000, 0.01, True), (999, 0.005, True), (3000, 0.005, True), (3000, 0.02, False)],
)
def test_they_order_where_that_lets_more_be_lost(texts: int, alpha: float, worth: bool) -> None:
    assert helps(1000, texts, RiskTarget(alpha)) == worth
    assert not helps(0, texts, RiskTarget(alpha))


def test_of_too_few_texts_they_say_how_many_it_takes_with_them() -> None:
    known = useful(442, 500, RiskTarget(0.005))
    with pytest.raises(DataError, match="it takes 648"):
        check_enough(500, RiskTarget(0.005), known)


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
            checkpoint, predictions, labels, target, "c", SHA, margin_of("float32"),
            held_out=known,
        )  # fmt: skip
        assert found.choice.known == 200
