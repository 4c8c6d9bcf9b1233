"""Other rules to choose thresholds by, on the same redraws: those of before, and of others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nestling.models.calibration.evidence import Evidence
from nestling.models.calibration.learn_then_test import plan, walk
from nestling.models.calibration.risk import fewest_examples, losses_allowed
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.score import Score

from .population import Chosen, Population

BEFORE = "learn-then-test, probability, 12 % order"
OBSERVED = "observed risk"
SHARE_BEFORE = 0.12


def before(
    whole: Population, drawn: Mapping[Score, Evidence], target: RiskTarget, seed: int
) -> dict[str, Chosen]:
    """As it once was; and without its test."""
    evidence, score = drawn[Score.PROBABILITY], Score.PROBABILITY
    most = round((1 - SHARE_BEFORE) * evidence.texts)
    allowed = losses_allowed(most, target.alpha, target.confidence)
    tested = fewest_examples(allowed, target.alpha, target.confidence)
    rows = np.random.default_rng(seed).permutation(evidence.texts)
    tried = plan(evidence.select(rows[tested:]), (allowed + 0.5) / tested)
    part = evidence.stages(tried.stages).select(rows[:tested])
    walked = walk(part, tried.vectors, target.alpha, target.confidence)
    last = max(0, walked.accepted - 1)
    seen = np.flatnonzero(walked.losses <= target.alpha * tested)
    return {
        BEFORE: whole.of(score, tried.stages, tried.vectors[last]),
        OBSERVED: whole.of(score, tried.stages, tried.vectors[seen[-1] if len(seen) else 0]),
    }


def tiny_saver(whole: Population, rows: NDArray[np.int64]) -> dict[str, Chosen]:
    """Of each student, the threshold that this rule gives it."""
    evidence, score = whole.evidence[Score.PROBABILITY], Score.PROBABILITY
    ta, found = len(whole.names) - 1, {}
    for student in range(ta):
        drawn, ahead = evidence.score[student, rows], whole.ahead[student, rows]
        threshold = saver_threshold(drawn, ahead, evidence.margin)
        name = f"TinySaver, {whole.names[student]}"
        found[name] = whole.of(score, (student, ta), np.array([threshold, 0.0]))
    return found


def saver_threshold(
    score: NDArray[np.floating], ahead: NDArray[np.integer], margin: float
) -> float:
    """TinySaver's (arXiv 2403.17726): the lowest above which a student is at least as accurate as
    the TA on the texts that it answers; 1 where there is none.

    score, ahead: (texts,), the second 1 where the student alone is right, −1 where the TA alone is.
    margin: what the gate asks above a threshold.
    """
    order = np.argsort(-score, kind="stable")
    behind = np.flatnonzero(np.cumsum(ahead[order]) < 0)
    last = behind[0] - 1 if len(behind) else len(order) - 1
    return float(score[order][last]) - margin if last >= 0 else 1.0
