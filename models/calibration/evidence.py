"""What thresholds are judged by: each student's score, loss and cost on each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DIGITS = 6
"""Of a score, after the point."""
MOST_CELLS = 4_000_000
"""Vectors times texts routed at once: bounds the memory."""


@dataclass(frozen=True)
class Evidence:
    """One row per student, cheapest first; the last row is the TA, which always answers.

    score: (students, texts) float32, by `rounded`; 0, which no threshold accepts, where a text is
    out of that student's scope. loss: (students, texts) bool, whether the risk
    counts this text if this student answers it; the TA's row is all False, but where its precision
    is another than that of the TA whose answers are to be kept. cost: (students, texts) of this
    student on this text, in any unit. margin: what the gate asks above a threshold.
    """

    score: NDArray[np.float32]
    loss: NDArray[np.bool_]
    cost: Floats
    margin: float

    @property
    def texts(self) -> int:
        return int(self.score.shape[1])

    def select(self, rows: NDArray[np.int64]) -> Evidence:
        """Some of the texts."""
        return Evidence(self.score[:, rows], self.loss[:, rows], self.cost[:, rows], self.margin)

    def stages(self, students: Sequence[int]) -> Evidence:
        """Some of the students, in this order; the last must be the TA."""
        rows = list(students)
        return Evidence(self.score[rows], self.loss[rows], self.cost[rows], self.margin)


def rounded(score: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scores to the digits that are the same wherever they were computed; float32, as the gate has
    them, whose margin is wider than what rounding moves.
    """
    return np.round(np.asarray(score, np.float64), DIGITS).astype(np.float32)


def accepts(
    score: NDArray[np.float32], threshold: Floats | float, margin: float
) -> NDArray[np.bool_]:
    """The gate's rule (`kernels.gate`) in the same float32 arithmetic, so that what is tested
    is what is served."""
    return np.asarray((score >= required(threshold, margin)) | (np.asarray(threshold) <= 0))


def required(threshold: Floats | float, margin: float) -> NDArray[np.float32]:
    """The score from which the gate accepts, where the threshold is above 0."""
    return np.asarray(np.asarray(threshold, dtype=np.float32) + np.float32(margin))


@dataclass(frozen=True)
class CascadeOutcome:
    """What vectors of thresholds do on a data set; one entry, or row, per vector.

    losses: (vectors,), sum over the texts. cost: (vectors,), mean per text, all stages.
    shares: (vectors, stages), of the texts that each stage answers.
    """

    losses: Floats
    cost: Floats
    shares: Floats


def outcome(evidence: Evidence, vectors: Floats, loss: Floats | None = None) -> CascadeOutcome:
    """Route every text by every vector of thresholds.

    vectors: (vectors, stages), the last column 0. loss: (stages, texts), an estimate to sum in
    place of the observed losses.
    """
    weights = evidence.loss.astype(np.float64) if loss is None else loss
    count, texts = len(vectors), evidence.texts
    losses, cost = np.zeros(count), np.zeros(count)
    shares = np.zeros((count, vectors.shape[1]))
    for start in range(0, count, step := max(1, MOST_CELLS // texts)):
        part = slice(start, start + step)
        reaching = np.ones((len(vectors[part]), texts), dtype=bool)
        for k in range(vectors.shape[1]):
            cost[part] += reaching @ evidence.cost[k] / texts
            threshold = vectors[part, k, None]
            answered = reaching & accepts(evidence.score[k], threshold, evidence.margin)
            losses[part] += answered @ weights[k]
            shares[part, k] = answered.mean(axis=1)
            reaching &= ~answered
    return CascadeOutcome(losses, cost, shares)
