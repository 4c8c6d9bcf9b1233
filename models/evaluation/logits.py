"""What every student answers on some texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..cascade.policy import Student
from ..cascade.score import Score
from ..heads.task import AnswerTask


@dataclass(frozen=True)
class StudentLogits:
    """Logits of every student on every text.

    task: of the head that they answer. students: cheapest first, the TA last. logits: by student's
    name, (texts, labels), the dtype in which the students ran.
    """

    task: AnswerTask
    students: tuple[Student, ...]
    logits: Mapping[str, Tensor]

    @property
    def ta(self) -> Student:
        """The whole TA."""
        return self.students[-1]

    def labels(self, student: str) -> Tensor:
        """The student's answers: (texts,) int64."""
        return self.task.answers(self.logits[student])

    def scores(self, student: str, temperature: float, score: Score) -> Tensor:
        """What the gate holds against a threshold: (texts,) float64, as exact as the logits."""
        logits = self.logits[student].double()
        found = self.task.scores(logits, logits.new_full((len(logits),), temperature))
        held: Tensor = getattr(found, score.value)
        return held
