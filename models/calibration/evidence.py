"""What thresholds are judged by: each student's score, loss and cost on each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .groups import TextGroups

Floats = NDArray[np.float64]
Losses = NDArray[np.bool_] | NDArray[np.int8]
DIGITS = 6
"""Of a score, after the point."""
MOST_CELLS = 100_000
"""Vectors times texts routed at once: so few stay in a processor's cache."""


@dataclass(frozen=True)
class Evidence:
    """One row per student, cheapest first; the last row is the TA, which always answers.

    score: (students, texts) float32, by `rounded`; 0, which no threshold above 0 accepts, where a
    text is out of that student's scope. loss: (students, texts), 1 where the risk counts
    this text if this student answers it, −1 where the net risk counts it as a recovery; the TA's
    row is all 0, but where its precision is another than that of the TA whose answers are to be
    kept. cost: (students, texts) of this student on this text, in any unit. margin: what the gate
    asks above a threshold. groups: each of which is promised the risk apart; None where all texts
    together are.
    """

    score: NDArray[np.float32]
    loss: Losses
    cost: Floats
    margin: float
    groups: TextGroups | None = None

    @property
    def texts(self) -> int:
        return int(self.score.shape[1])

    @property
    def broken(self) -> NDArray[np.bool_]:
        """(students, texts), where a text would be lost."""
        return np.asarray(self.loss > 0)

    @property
    def recovered(self) -> NDArray[np.bool_]:
        """(students, texts), where a text would be won back."""
        return np.asarray(self.loss < 0)

    def select(self, rows: NDArray[np.int64]) -> Evidence:
        """Some of the texts."""
        return replace(
            self,
            score=self.score[:, rows],
            loss=self.loss[:, rows],
            cost=self.cost[:, rows],
            groups=self.groups and self.groups.select(rows),
        )

    def joined(self, other: Evidence) -> Evidence:
        """These texts and those of another one, of the same students and without groups."""
        return Evidence(
            np.concatenate([self.score, other.score], axis=1),
            np.concatenate([self.loss, other.loss], axis=1),
            np.concatenate([self.cost, other.cost], axis=1),
            self.margin,
        )

    def stages(self, students: Sequence[int]) -> Evidence:
        """Some of the students, in this order; the last must be the one that always answers."""
        rows = list(students)
        return replace(self, score=self.score[rows], loss=self.loss[rows], cost=self.cost[rows])

    @property
    def promised_apart(self) -> list[NDArray[np.int64]]:
        """The texts of each group; all of them, where there are no groups."""
        return [np.arange(self.texts)] if self.groups is None else self.groups.rows


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

    losses: (vectors,), how many texts are lost. cost: (vectors,), mean per text, all stages.
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
    weights = evidence.broken.astype(np.float64) if loss is None else loss
    count, texts = len(vectors), evidence.texts
    spent = np.cumsum(evidence.cost, axis=0)  # up to the stage that answers
    sums = np.zeros((vectors.shape[1], count, 3))
    for start in range(0, count, step := max(1, MOST_CELLS // texts)):
        part = slice(start, start + step)
        reaching = np.ones((len(vectors[part]), texts), dtype=bool)
        for k in range(vectors.shape[1]):
            answered = accepts(evidence.score[k], vectors[part, k, None], evidence.margin)
            answered &= reaching
            reaching &= ~answered
            of_text = np.stack([weights[k], spent[k], np.ones(texts)], axis=1)
            sums[k, part] = answered.astype(np.float64) @ of_text
    losses, cost, _ = sums.sum(axis=0).T
    return CascadeOutcome(losses, cost / texts, sums[:, :, 2].T / texts)
