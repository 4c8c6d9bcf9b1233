"""Texts without their words: their lengths, and how sure each student is of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...models.cascade.policy import Stage
from ...models.cascade.score import Score
from ...models.runners.base import Flags, Floats, ForwardBatch, ForwardOutput


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
        student = (stage.student.name, _as_asked(stage.student.temperature))
        wanted = [stage.score, Score.ENERGY] if stage.scope > 0 else [stage.score]
        return all((*student, score.code) in self._scores for score in wanted)

    def forward(self, batch: ForwardBatch, seconds: float) -> ForwardOutput:
        """What a runner would return for texts that `tokens` stands for. seconds: of the batch."""
        rows = batch.tokens[np.cumsum(batch.lengths) - batch.lengths].tolist()
        names = [name for name, count in batch.runs for _ in range(count)]
        temperatures, by = batch.temperatures.tolist(), batch.by.tolist()
        asked = list(zip(names, temperatures, rows, strict=True))
        scores = np.array(
            [
                self._scores[name, t, code][row]
                for (name, t, row), code in zip(asked, by, strict=True)
            ],
            np.float32,
        )
        energies = np.array(
            [
                self._scores[name, t, Score.ENERGY.code][row] if scope > 0 else 1.0
                for (name, t, row), scope in zip(asked, batch.scopes.tolist(), strict=True)
            ],
            np.float32,
        )
        inside = self._reach(energies, batch.scopes)
        accepts = self._reach(scores, batch.thresholds) & inside
        count = len(names)
        labels, logits = np.zeros(count, np.int64), np.empty((count, 0), np.float32)
        return ForwardOutput(labels, scores, scores, accepts, energies, inside, logits, seconds)

    def _reach(self, values: Floats, bounds: Floats) -> Flags:
        """As the gate has it."""
        return (bounds <= 0) | (values >= bounds + np.float32(self.margin))

    @cached_property
    def _tokens(self) -> list[list[int]]:
        return [[row] * length for row, length in enumerate(self.lengths)]

    @cached_property
    def _scores(self) -> dict[tuple[str, float, float], Sequence[float]]:
        return {
            (each.student, _as_asked(each.temperature), each.score.code): each.confidences
            for each in self.stated
        }


def _as_asked(temperature: float) -> float:
    """As it stands in a batch, which has float32."""
    return float(np.float32(temperature))
