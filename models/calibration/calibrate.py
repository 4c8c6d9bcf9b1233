"""Calibrating a checkpoint: run every student, order and test thresholds, describe the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..cascade.policy import Cascade
from ..checkpoint.load import Checkpoint
from ..errors import NestlingError
from ..evaluation.predictions import Predictions
from .choice import Choice, RiskTarget, choose, divide
from .evidence import Evidence
from .learn_then_test import Split
from .temperature import fit_temperature


@dataclass(frozen=True)
class Calibrated:
    """cascade: with its guarantee and forecast. temperatures: of every student, for `target.loss`.

    choice: how it came about.
    """

    cascade: Cascade
    temperatures: dict[str, float]
    choice: Choice


def calibrate(
    checkpoint: Checkpoint,
    predictions: Predictions,
    truth: Tensor | None,
    seconds: Mapping[str, float],
    target: RiskTarget,
    name: str,
    data_sha256: str,
) -> Calibrated:
    """Find the cheapest cascade that keeps the target on data like these.

    truth: (texts,) int64, the true classes; None for the disagreement loss, which needs none.
    seconds: per text, by student's name: the cost that is minimised.
    Raises DataError where the data cannot show the target, with the number that could.
    """
    answers = predictions.labels(predictions.ta.name)
    if truth is None and target.loss == "drop":
        raise NestlingError("loss: 'drop' needs labels; without them use 'disagreement'")
    reference = truth if truth is not None and target.loss == "drop" else answers
    parts = divide(len(answers), target, data_sha256)
    temperatures = _temperatures(predictions, reference, parts, target.loss)
    evidence = gather(predictions, reference, temperatures, seconds)
    students = [replace(s, temperature=temperatures[s.name]) for s in predictions.students]
    flops = torch.stack([predictions.flops(student) for student in students]).numpy()
    choice = choose(evidence, flops, parts, target)
    guarantee = choice.guarantee(target, parts, data_sha256, checkpoint.weights_sha256)
    cascade = Cascade(name, choice.stages(students), guarantee, choice.forecast)
    return Calibrated(cascade, temperatures, choice)


def gather(
    predictions: Predictions,
    reference: Tensor,
    temperatures: Mapping[str, float],
    seconds: Mapping[str, float],
) -> Evidence:
    """Confidence, loss and cost of every student on every text.

    reference: the true classes; or the TA's answers, where it counts as always right.
    """
    names = [student.name for student in predictions.students]
    ta_right = predictions.labels(predictions.ta.name) == reference
    confidence = [predictions.confidences(name, temperatures[name]) for name in names]
    loss = [(predictions.labels(name) != reference) & ta_right for name in names]
    flops = [predictions.flops(student) for student in predictions.students]
    cost = [seconds[n] * f / f.mean() for n, f in zip(names, flops, strict=True)]
    return Evidence(
        torch.stack(confidence).numpy(),
        torch.stack(loss).numpy(),
        torch.stack(cost).numpy(),
        predictions.margin,
    )


def _temperatures(
    predictions: Predictions, reference: Tensor, parts: Split, loss: str
) -> dict[str, float]:
    rows = torch.from_numpy(parts.ordering)
    fitted = {
        student.name: fit_temperature(predictions.logits[student.name][rows], reference[rows])
        for student in predictions.students
    }
    if loss == "disagreement":  # the TA agrees with itself: that says nothing of its temperature
        fitted[predictions.ta.name] = predictions.ta.temperature
    return fitted


__all__ = ["Calibrated", "RiskTarget", "calibrate", "gather"]
