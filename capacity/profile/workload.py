"""Texts without their words: their lengths, and how sure each student is of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...models.cascade.policy import Stage
from ...models.cascade.score import Score
from ...models.runners.base import ForwardBatch, ForwardOutput


@dataclass(frozen=True)
class StudentConfidences:
    """How sure one student, at one temperature, is of every text, by a score."""

    student: str
    temperature: float
    confidences: tuple[float, ...]
    score: Score = Score.PROBABILITY


@dataclass(frozen=True)
class Workload:
    """lengths: tokens of each text, special ones included. stated: the students' confidences.

    margin: by which the gate wants a score to exceed a threshold. data: the file that the
    texts are from; sha256: of that file.
    """

    data: str
    sha256: str
    margin: float
    lengths: tuple[int, ...]
    stated: tuple[StudentConfidences, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, row: int) -> list[int]:
        """What stands for a text in a decision: its row, as often as it has tokens."""
        return self._tokens[row]

    def knows(self, stage: Stage) -> bool:
        """Whether it has the student's score at its temperature."""
        key = (stage.student.name, stage.student.temperature, stage.score.code)
        return key in self._scores

    def forward(self, batch: ForwardBatch, seconds: float) -> ForwardOutput:
        """What a runner would return for texts that `tokens` stands for. seconds: of the batch."""
        names = [name for name, count in batch.runs for _ in range(count)]
        scores = [
            self._scores[name, temperature, by][tokens[0]]
            for name, temperature, by, tokens in zip(
                names, batch.temperatures, batch.by, batch.sequences, strict=True
            )
        ]
        accepts = [
            threshold <= 0 or score >= threshold + self.margin
            for score, threshold in zip(scores, batch.thresholds, strict=True)
        ]
        count = len(names)
        return ForwardOutput(
            [0] * count, scores, scores, accepts, np.empty((count, 0), np.float32), seconds
        )

    @cached_property
    def _tokens(self) -> list[list[int]]:
        return [[row] * length for row, length in enumerate(self.lengths)]

    @cached_property
    def _scores(self) -> dict[tuple[str, float, float], Sequence[float]]:
        return {
            (each.student, each.temperature, each.score.code): each.confidences
            for each in self.stated
        }
