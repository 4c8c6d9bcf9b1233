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
        """Whether it has the student's score at its temperature, and its energy for a scope."""
        student = (stage.student.name, stage.student.temperature)
        wanted = [stage.score, Score.ENERGY] if stage.scope > 0 else [stage.score]
        return all((*student, score.code) in self._scores for score in wanted)

    def forward(self, batch: ForwardBatch, seconds: float) -> ForwardOutput:
        """What a runner would return for texts that `tokens` stands for. seconds: of the batch."""
        names = [name for name, count in batch.runs for _ in range(count)]
        scores = [
            self._scores[name, temperature, by][tokens[0]]
            for name, temperature, by, tokens in zip(
                names, batch.temperatures, batch.by, batch.sequences, strict=True
            )
        ]
        energies = [
            self._scores[name, temperature, Score.ENERGY.code][tokens[0]] if scope > 0 else 1.0
            for name, temperature, scope, tokens in zip(
                names, batch.temperatures, batch.scopes, batch.sequences, strict=True
            )
        ]
        inside = self._reach(energies, batch.scopes)
        sure = self._reach(scores, batch.thresholds)
        accepts = [both == (True, True) for both in zip(sure, inside, strict=True)]
        count = len(names)
        logits = np.empty((count, 0), np.float32)
        return ForwardOutput(
            [0] * count, scores, scores, accepts, energies, inside, logits, seconds
        )

    def _reach(self, values: Sequence[float], bounds: Sequence[float]) -> list[bool]:
        """As the gate has it."""
        pairs = zip(values, bounds, strict=True)
        return [bound <= 0 or value >= bound + self.margin for value, bound in pairs]

    @cached_property
    def _tokens(self) -> list[list[int]]:
        return [[row] * length for row, length in enumerate(self.lengths)]

    @cached_property
    def _scores(self) -> dict[tuple[str, float, float], Sequence[float]]:
        return {
            (each.student, each.temperature, each.score.code): each.confidences
            for each in self.stated
        }
