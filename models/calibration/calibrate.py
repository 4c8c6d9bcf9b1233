"""Calibrating a checkpoint: run every student, order and test thresholds, describe the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..cascade import Cascade, Forecast, Guarantee, Stage
from ..checkpoint import Checkpoint
from ..errors import DataError, NestlingError
from ..predictions import Predictions
from .evidence import Evidence, outcome
from .learn_then_test import MOST_STAGES, Plan, Split, Walk, plan, split, walk
from .risk import examples_needed, fewest_examples, losses_allowed
from .temperature import fit_temperature

METHOD = "learn-then-test, fixed sequence, exact binomial"
LOSSES = {
    "drop": "1{answered before the TA, and wrong, where the TA is right}",
    "disagreement": "1{answered before the TA, and differs from the TA's answer}",
}


@dataclass(frozen=True)
class Target:
    """What a cascade shall promise: P(risk ≤ alpha) ≥ confidence, for a loss of `LOSSES`."""

    alpha: float
    confidence: float = 0.95
    loss: str = "drop"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise NestlingError(f"max-drop: {self.alpha} is not between 0 and 1")
        if not 0 < self.confidence < 1:
            raise NestlingError(f"confidence: {self.confidence} is not between 0 and 1")
        if self.loss not in LOSSES:
            raise NestlingError(f"loss: {self.loss!r} is none of {', '.join(LOSSES)}")


@dataclass(frozen=True)
class Calibrated:
    """cascade: with its guarantee and forecast. temperatures: of every student, for `target.loss`.

    allowed: losses among the testing examples at which the test still rejects.
    """

    cascade: Cascade
    temperatures: dict[str, float]
    losses: int
    allowed: int


def calibrate(
    checkpoint: Checkpoint,
    predictions: Predictions,
    truth: Tensor | None,
    seconds: Mapping[str, float],
    target: Target,
    name: str,
    data_sha256: str,
) -> Calibrated:
    """Find the cheapest cascade that keeps the target on data like these.

    truth: (texts,) int64, the true classes; None for the disagreement loss, which needs none.
    seconds: per text, by student's name: the cost that is minimised.
    The split is drawn from the data's hash: the same file gives the same thresholds, and there
    is no seed to try until one passes.
    Raises DataError where the data cannot show the target, with the number that could.
    """
    answers = predictions.labels(predictions.ta.name)
    if truth is None and target.loss == "drop":
        raise NestlingError("loss: 'drop' needs labels; without them use 'disagreement'")
    reference = truth if truth is not None and target.loss == "drop" else answers
    parts = split(len(answers), target.alpha, target.confidence, int(data_sha256[:12], 16))
    allowed = losses_allowed(len(parts.testing), target.alpha, target.confidence)
    if allowed < 0:
        raise _too_few(len(answers), target)
    temperatures = _temperatures(predictions, reference, parts, target.loss)
    evidence = gather(predictions, reference, temperatures, seconds)
    chosen = plan(evidence.select(parts.ordering), (allowed + 0.5) / len(parts.testing))
    stages = evidence.stages(chosen.stages)
    walked = walk(stages.select(parts.testing), chosen.vectors, target.alpha, target.confidence)
    best = _cheapest(stages, chosen, walked, parts, target)
    vector = chosen.vectors[best]
    students = [predictions.students[row] for row in chosen.stages]
    students = [replace(s, temperature=temperatures[s.name]) for s in students]
    used = [k for k, threshold in enumerate(vector) if threshold < 1]  # a stage that may answer
    losses = int(walked.losses[best])
    guarantee = Guarantee(
        method=METHOD,
        loss=target.loss,
        alpha=target.alpha,
        confidence=target.confidence,
        examples=len(parts.testing),
        ordering_examples=len(parts.ordering),
        observed_risk=losses / len(parts.testing),
        data_sha256=data_sha256,
        weights_sha256=checkpoint.weights_sha256,
    )
    cascade = Cascade(
        name,
        tuple(Stage(students[k], float(vector[k])) for k in used),
        guarantee,
        _forecast(stages.stages(used), vector[used], predictions, [students[k].name for k in used]),
    )
    return Calibrated(cascade, temperatures, losses, allowed)


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


def _cheapest(stages: Evidence, chosen: Plan, walked: Walk, parts: Split, target: Target) -> int:
    """Index of the accepted vector of least cost over all the data."""
    tested = len(parts.testing)
    alone = float(stages.cost[-1].mean())
    accepted = outcome(stages, chosen.vectors[: walked.accepted]).cost
    if accepted.size and accepted.min() < alone:
        return int(accepted.argmin())
    costs = outcome(stages, chosen.vectors).cost
    cheaper = np.flatnonzero(costs < alone)
    if not len(cheaper):
        raise NestlingError(
            "no cascade is cheaper than the TA on these data: no student answers enough texts "
            "with confidence for its share of the TA's time"
        )
    first = int(cheaper[0])
    observed = int(walked.losses[first]) / tested
    needed = examples_needed(observed, target.alpha, target.confidence)
    share = tested / (tested + len(parts.ordering))
    advice = (
        "the risk is too high for any number of examples"
        if needed is None
        else f"about {round(needed / share):,} examples would show it at this rate"
    )
    raise DataError(
        f"no thresholds keep the {target.loss} below {target.alpha:.2%} with "
        f"{target.confidence:.0%} confidence: the safest cascade that is cheaper than the TA has "
        f"{walked.losses[first]} losses in {tested:,} texts ({observed:.2%}); {advice}"
    )


def _too_few(n: int, target: Target) -> DataError:
    least = fewest_examples(0, target.alpha, target.confidence)
    while (
        losses_allowed(
            len(split(least, target.alpha, target.confidence, 0).testing),
            target.alpha,
            target.confidence,
        )
        < 0
    ):
        least += 1
    return DataError(
        f"{n:,} examples are too few to show a risk of at most {target.alpha:.2%} with "
        f"{target.confidence:.0%} confidence, even without a single loss: it takes {least:,}"
    )


def _forecast(
    stages: Evidence, vector: np.ndarray, predictions: Predictions, names: list[str]
) -> Forecast:
    seconds = outcome(stages, vector[None])
    by_name = {student.name: student for student in predictions.students}
    flops = torch.stack([predictions.flops(by_name[name]) for name in names]).numpy()
    in_flops = Evidence(stages.confidence, stages.loss, flops, stages.margin)
    return Forecast(
        tuple(float(share) for share in seconds.shares[0]),
        float(outcome(in_flops, vector[None]).cost[0] / flops[-1].mean()),
        float(seconds.cost[0] / stages.cost[-1].mean()),
    )


__all__ = ["LOSSES", "MOST_STAGES", "Calibrated", "Target", "calibrate", "gather"]
