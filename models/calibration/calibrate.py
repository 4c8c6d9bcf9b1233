"""Calibrating a checkpoint: run every student, order and test thresholds, describe the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cascade.policy import Cascade
from ..checkpoint.held_out import HeldOutAnswers
from ..checkpoint.load import Checkpoint
from ..errors import NestlingError
from ..evaluation.predictions import Predictions
from .choice import SCORES, Choice, choose, divide
from .cost import TimeModel, flops_of, seconds_of
from .evidence import Floats
from .gather import ABSTAINS, gather
from .groups import TextGroups
from .known import KnownTexts
from .scope import ScopeTarget, count_strangers, find_scopes, halves, promise
from .target import RiskTarget
from .temperature import fit_temperature
from .temperature import rounded as rounded_temperature

NO_LABEL = -1
"""Which no student answers."""


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
    target: RiskTarget,
    name: str,
    data_sha256: str,
    margin: float,
    by: TimeModel | None = None,
    exact: Tensor | None = None,
    groups: TextGroups | None = None,
    scope: ScopeTarget | None = None,
    strangers: tuple[Predictions, str] | None = None,
    held_out: HeldOutAnswers | None = None,
) -> Calibrated:
    """Find the cheapest cascade that keeps the target on data like these.

    truth: (texts,) int64, the true classes; None for the disagreement loss, which needs none.
    margin: what the gate asks above a threshold, in the precision that is calibrated. by: the
    seconds that are minimised; None minimises FLOPs. exact: (texts,) int64, the answers of the TA
    in float32, which are to be kept; None where the predictions are in float32. groups: of the
    texts, each of which is promised the risk apart. scope: that each student gets one. strangers:
    of texts that have none of the labels, with the sha256 of their file; they are counted, no more.
    held_out: answers in float32 on other texts, which order the tests too, where there are neither
    groups nor scopes. Raises DataError where the data cannot show the target, with the number that
    could.
    """
    if truth is None and target.needs_labels:
        raise NestlingError(f"loss: {target.loss!r} needs labels; without them use 'disagreement'")
    own = predictions.labels(predictions.ta.name)
    kept = own if exact is None else exact
    reference = truth if truth is not None and target.needs_labels else kept
    known = KnownTexts.of(held_out, predictions.students, target) if held_out else None
    parts = divide(len(own), target, data_sha256, groups, len(known) if known else 0)
    fitting, fixing = (parts.ordering, None) if scope is None else halves(parts, groups)
    temperatures = _temperatures(predictions, reference, fitting, target.loss, known)
    if target.loss == "disagreement":
        # Served answers are watched beside the TA's own: with it, too, they disagree no more often.
        reference = kept = kept.where(kept == own, NO_LABEL)
    students = [replace(s, temperature=temperatures[s.name]) for s in predictions.students]
    scopes = None
    if scope is not None and fixing is not None:
        scopes = find_scopes(predictions, students, fixing, scope, target.confidence, margin)
        # Every label differs from that; and as no label is, it is right of no text.
        kept = kept.masked_fill(torch.from_numpy(~scopes.inside[-1]), ABSTAINS)
        reference = kept if target.loss == "disagreement" else reference

    def cost_of(tokens: Sequence[int]) -> Floats:
        return flops_of(students, tokens) if by is None else seconds_of(by, students, tokens)

    tokens = list(map(len, predictions.sequences))
    flops, cost, net = flops_of(students, tokens), cost_of(tokens), target.net
    gathered = {
        score: gather(predictions, reference, temperatures, score, cost, margin, kept, scopes, net)
        for score in SCORES
    }
    evidence = {score: replace(each, groups=groups) for score, each in gathered.items()}
    others = None
    if known is not None:
        others = known.evidence(SCORES, temperatures, cost_of(known.tokens), margin)
    choice = choose(evidence, flops, by, parts, target, others)
    guarantee = choice.guarantee(target, parts, data_sha256, checkpoint.weights_sha256)
    guarantee = replace(guarantee, reference="float32")
    cascade = Cascade(name, choice.stages(students), guarantee, choice.forecast, choice.path)
    if scope is not None and scopes is not None and fixing is not None:
        stages, rows = scopes.on(cascade.stages, choice.rows), list(choice.rows)
        inside = scopes.inside[rows][:, parts.testing]
        if not scopes.limits[-1]:  # it always answers, also where the cascade ends before the TA
            stages = (*stages[:-1], replace(stages[-1], scope=0.0))
            inside[-1] = True
        counted = count_strangers(strangers[0], stages, margin, strangers[1]) if strangers else None
        kept_share = promise(scope, target.confidence, len(fixing), inside, counted)
        cascade = replace(cascade, stages=stages, scope=kept_share)
    return Calibrated(cascade, temperatures, choice)


def _temperatures(
    predictions: Predictions,
    reference: Tensor,
    ordering: NDArray[np.int64],
    loss: str,
    known: KnownTexts | None,
) -> dict[str, float]:
    """Of each student, by the texts that order.

    Those of the calibration count at least as much together as those held out of training, however
    few they are, since confidences are served to texts like them. They do not count alone: of 50
    texts a good student may answer all rightly, and then no temperature is too low.
    """
    task, rows, weights = predictions.task, torch.from_numpy(ordering), None
    logits = {name: each[rows] for name, each in predictions.logits.items()}
    right = reference[rows]
    if known is not None:
        logits = {name: torch.cat([each, known.logits(name)]) for name, each in logits.items()}
        right = torch.cat([right, known.reference])
        weights = torch.ones(len(right))
        weights[: len(rows)] = max(1.0, len(known) / max(1, len(rows)))
    fitted = {
        student.name: rounded_temperature(
            fit_temperature(task, logits[student.name], right, weights)
        )
        for student in predictions.students
    }
    if loss == "disagreement":  # the TA agrees with itself: that says nothing of its temperature
        fitted[predictions.ta.name] = predictions.ta.temperature
    return fitted
