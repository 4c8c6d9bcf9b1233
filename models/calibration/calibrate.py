"""Calibrating a checkpoint: run every student, order and test thresholds, describe the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..cascade.policy import Cascade
from ..cascade.score import Score
from ..checkpoint.load import Checkpoint
from ..errors import NestlingError
from ..evaluation.predictions import Predictions
from .choice import SCORES, Choice, choose, divide
from .cost import TimeModel, flops_of, seconds_of
from .evidence import Evidence, Floats, rounded
from .groups import TextGroups
from .scope import Scopes, ScopeTarget, count_strangers, find_scopes, halves, promise
from .target import RiskTarget
from .temperature import fit_temperature
from .temperature import rounded as rounded_temperature

NO_LABEL = -1
"""Which no student answers."""
ABSTAINS = -2
"""In place of a label, where the TA finds a text out of scope: the right answer of no text."""


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
) -> Calibrated:
    """Find the cheapest cascade that keeps the target on data like these.

    truth: (texts,) int64, the true classes; None for the disagreement loss, which needs none.
    margin: what the gate asks above a threshold, in the precision that is calibrated. by: the
    seconds that are minimised; None minimises FLOPs. exact: (texts,) int64, the answers of the TA
    in float32, which are to be kept; None where the predictions are in float32. groups: of the
    texts, each of which is promised the risk apart. scope: that each student gets one. strangers:
    of texts that have none of the labels, with the sha256 of their file; they are counted, no more.
    Raises DataError where the data cannot show the target, with the number that could.
    """
    if truth is None and target.needs_labels:
        raise NestlingError(f"loss: {target.loss!r} needs labels; without them use 'disagreement'")
    own = predictions.labels(predictions.ta.name)
    kept = own if exact is None else exact
    reference = truth if truth is not None and target.needs_labels else kept
    parts = divide(len(own), target, data_sha256, groups)
    fitting, fixing = (parts.ordering, None) if scope is None else halves(parts)
    temperatures = _temperatures(predictions, reference, fitting, target.loss)
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
    tokens = list(map(len, predictions.sequences))
    flops = flops_of(students, tokens)
    cost = flops if by is None else seconds_of(by, students, tokens)
    net = target.net
    gathered = {
        score: gather(predictions, reference, temperatures, score, cost, margin, kept, scopes, net)
        for score in SCORES
    }
    evidence = {score: replace(each, groups=groups) for score, each in gathered.items()}
    choice = choose(evidence, flops, by, parts, target)
    guarantee = choice.guarantee(target, parts, data_sha256, checkpoint.weights_sha256)
    guarantee = replace(guarantee, reference="float32")
    cascade = Cascade(name, choice.stages(students), guarantee, choice.forecast, choice.path)
    if scope is not None and scopes is not None and fixing is not None:
        stages, rows = scopes.on(cascade.stages, choice.rows), list(choice.rows)
        inside = scopes.inside[rows][:, parts.testing]
        if scopes.limits[-1] <= 0:  # also where the cascade ends before the TA
            stages = (*stages[:-1], replace(stages[-1], scope=0.0))
            inside[-1] = True
        counted = count_strangers(strangers[0], stages, margin, strangers[1]) if strangers else None
        kept_share = promise(scope, target.confidence, len(fixing), inside, counted)
        cascade = replace(cascade, stages=stages, scope=kept_share)
    return Calibrated(cascade, temperatures, choice)


def gather(
    predictions: Predictions,
    reference: Tensor,
    temperatures: Mapping[str, float],
    score: Score,
    cost: Floats,
    margin: float,
    kept: Tensor | None = None,
    scopes: Scopes | None = None,
    net: bool = False,
) -> Evidence:
    """Score, loss and cost of every student on every text.

    reference: (texts,) int64, the true classes; or the TA's answers, where it counts as always
    right. cost: (students, texts). kept: (texts,) int64, the answers of the TA that the loss is
    against, by default those predicted. scopes: what is out of a student's is not answered there,
    and what is out of the TA's is answered with `ABSTAINS`; so is what is out of another's, where
    the TA has a scope, for the cascade may end there. net: whether what recovers counts, as −1.
    """
    names = [student.name for student in predictions.students]
    labels = torch.stack([predictions.labels(name) for name in names])
    kept_right = (labels[-1] if kept is None else kept) == reference
    scores = np.stack([predictions.scores(n, temperatures[n], score).numpy() for n in names])
    if scopes is not None:
        scores = np.where(scopes.inside, scores, 0.0)
        outside = ~scopes.inside
        if scopes.limits[-1] <= 0:  # then whoever answers last has no scope, and gives its label
            outside[:-1] = False
        labels.masked_fill_(torch.from_numpy(outside), ABSTAINS)
    right = labels == reference
    loss = (~right & kept_right).to(torch.int8)
    if net:
        loss -= (right & ~kept_right).to(torch.int8)
    return Evidence(rounded(scores), loss.numpy(), cost, margin)


def _temperatures(
    predictions: Predictions, reference: Tensor, ordering: NDArray[np.int64], loss: str
) -> dict[str, float]:
    rows = torch.from_numpy(ordering)
    fitted = {
        student.name: rounded_temperature(
            fit_temperature(predictions.logits[student.name][rows], reference[rows])
        )
        for student in predictions.students
    }
    if loss == "disagreement":  # the TA agrees with itself: that says nothing of its temperature
        fitted[predictions.ta.name] = predictions.ta.temperature
    return fitted


__all__ = ["Calibrated", "RiskTarget", "calibrate", "gather"]
