"""Thresholds chosen anew from the shadow of served traffic: no labels, no texts.

The same split, path and walk as in every calibration, with the loss `disagreement`. The stages that
may answer are chosen among those of the cascade, at the temperatures and with the scopes that it
has: a temperature needs labels, or all logits, and a scope texts that are known to have one. The
score is one of those that were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..cascade.policy import Cascade
from ..cascade.score import Score
from ..errors import DataError, NestlingError
from ..precision import margin_of
from .choice import SCORES, Choice, choose, divide
from .choice import check_enough as enough_texts
from .cost import TimeModel, flops_of, seconds_of
from .evidence import Evidence, Floats, accepts, rounded
from .records import AskedStudent, ShadowRecord, digest
from .target import RiskTarget


@dataclass(frozen=True)
class Recalibrated:
    """cascade: with its new thresholds, guarantee and forecast. choice: how they came about."""

    cascade: Cascade
    choice: Choice


def recalibrate(
    cascade: Cascade,
    records: Sequence[ShadowRecord],
    target: RiskTarget,
    by: TimeModel | None = None,
) -> Recalibrated:
    """The cheapest thresholds that keep the target on traffic like what was recorded.

    cascade: ends in the TA. records: usable ones of this cascade, at least one. by: the seconds
    that are minimised; None minimises FLOPs. Raises NestlingError where records of several
    precisions are mixed, DataError where they cannot show the target, with the number that could.
    """
    asked = [_of(record, cascade) for record in records]
    students = [stage.student for stage in cascade.stages]
    margin = _margin(cascade, records)
    sha256 = digest(records)
    tokens = [record.tokens for record in records]
    flops = flops_of(students, tokens)
    cost = flops if by is None else seconds_of(by, students, tokens)
    ta = [record.ta for record in records]
    inside = _inside(asked, cascade, margin)
    evidence = {
        score: _evidence(asked, ta, score, cost, margin, inside, cascade.abstains)
        for score in SCORES
        if _all_have(asked, score)
    }
    check_enough(cascade, records, target)
    parts = divide(len(records), target, sha256)
    try:
        choice = choose(evidence, flops, by, parts, target)
    except DataError as error:
        raise DataError(f"cascade {cascade.name!r}: {error}") from error
    guarantee = replace(
        choice.guarantee(target, parts, sha256, records[0].weights_sha256),
        source="shadow",
        since=min(record.time for record in records),
        until=max(record.time for record in records),
        reference=records[0].precision,
    )
    pairs = zip(choice.stages(students), choice.rows, strict=True)
    scopes = [stage.scope for stage in cascade.stages]
    stages = tuple(replace(stage, scope=scopes[row]) for stage, row in pairs)
    if not cascade.abstains:  # also where it ends before the TA now
        stages = (*stages[:-1], replace(stages[-1], scope=0.0))
    scope = cascade.scope.of(choice.rows) if cascade.scope else None
    anew = Cascade(cascade.name, stages, guarantee, choice.forecast, choice.path, scope)
    return Recalibrated(anew, choice)


def check_enough(cascade: Cascade, records: Sequence[ShadowRecord], target: RiskTarget) -> None:
    """Raises DataError where so few records could not show the target even without a loss."""
    try:
        enough_texts(len(records), target)
    except DataError as error:
        raise DataError(f"cascade {cascade.name!r}: {error}") from error


def _of(record: ShadowRecord, cascade: Cascade) -> tuple[AskedStudent, ...]:
    asked = record.of(cascade)
    if asked is None:
        raise ValueError(f"a record that says nothing of cascade {cascade.name!r}")
    return asked


def _margin(cascade: Cascade, records: Sequence[ShadowRecord]) -> float:
    precisions = sorted({record.precision for record in records})
    if len(precisions) > 1:
        raise NestlingError(
            f"cascade {cascade.name!r}: its records were computed in {' and '.join(precisions)}; "
            "thresholds are of one precision"
        )
    return margin_of(precisions[0])


def _all_have(asked: Sequence[tuple[AskedStudent, ...]], score: Score) -> bool:
    return all(stage.score(score) is not None for text in asked for stage in text)


def _evidence(
    asked: Sequence[tuple[AskedStudent, ...]],
    ta: Sequence[int],
    score: Score,
    cost: Floats,
    margin: float,
    inside: NDArray[np.bool_],
    abstains: bool,
) -> Evidence:
    """Where the TA finds a text out of scope it gives no label, from which every label differs.

    Then whoever answers last gives none of what is out of its own scope: it differs from the TA's.
    """
    scores = np.array([[stage.score(score) for stage in text] for text in asked], np.float64).T
    label = np.array([[stage.label for stage in text] for text in asked]).T
    unlabelled = ~inside if abstains else np.zeros_like(inside)
    neither, other = unlabelled & unlabelled[-1], label != np.array(ta)
    loss = (unlabelled | unlabelled[-1] | other) & ~neither
    return Evidence(rounded(np.where(inside, scores, 0.0)), loss, cost, margin)


def _inside(
    asked: Sequence[tuple[AskedStudent, ...]], cascade: Cascade, margin: float
) -> NDArray[np.bool_]:
    """(stages, texts), whether each is in the scope of each stage."""
    energies = np.array([[stage.energy or 0.0 for stage in text] for text in asked], np.float64).T
    pairs = zip(rounded(energies), cascade.stages, strict=True)
    return np.stack([accepts(energy, stage.scope, margin) for energy, stage in pairs])
