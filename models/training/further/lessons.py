"""What the students learn from traffic: above all, where they were sure and wrong (PGKD, Di Palo et
al. 2024, arXiv 2411.05045).

The truth of a text is its label where it has one, and else the TA's word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ....kernels.gate.reference import gate
from ...cascade.policy import Cascade, Student
from ...checkpoint.manifest import TA

TURNS = 3
"""Turns per epoch of a text on which a student was sure and wrong; all others have one."""
SURE = 0.5
"""Confidence from which a student counts as sure that has no threshold in the default cascade."""


@dataclass(frozen=True)
class Lessons:
    """truth: (texts,) int64. targets: logits that all learn, (texts, labels) float32.

    wrong: by student, which texts it was sure and wrong about, (texts,) bool.
    """

    truth: Tensor
    targets: Tensor
    wrong: Mapping[str, Tensor]

    @property
    def hard(self) -> Tensor:
        """Texts about which some student was sure and wrong: (texts,) bool."""
        return torch.stack(list(self.wrong.values())).any(0)

    def turns(self) -> Tensor:
        """Indices of the texts of an epoch; hard ones several times."""
        return torch.arange(len(self.truth)).repeat_interleave(1 + (TURNS - 1) * self.hard.long())


def lessons_of(
    labels: Sequence[int | None],
    logits: Mapping[str, Tensor],
    students: Mapping[str, Student],
    cascade: Cascade,
) -> Lessons:
    """What follows from the answers to some texts.

    labels: of each text; None where nobody has said it. logits: by student, the TA among them,
    (texts, labels) float32. cascade: the default one, whose thresholds say who is sure.
    """
    ta = logits[TA]
    said = torch.tensor([-1 if label is None else label for label in labels])
    truth = said.where(said >= 0, ta.argmax(-1))
    wrong = {
        name: _sure(logits[name], student, cascade) & (logits[name].argmax(-1) != truth)
        for name, student in students.items()
    }
    return Lessons(truth, corrected(ta, truth), wrong)


def corrected(logits: Tensor, truth: Tensor) -> Tensor:
    """Soft targets that agree with the truth: where they do not, the logit of the answer and that
    of the truth change places (probability shift, Wen et al. 2019, arXiv 1911.07471, §3.2).

    logits: (texts, labels). truth: (texts,) int64.
    """
    answer = logits.argmax(-1, keepdim=True)
    right = truth[:, None]
    fixed = logits.scatter(1, answer, logits.gather(1, right))
    return fixed.scatter(1, right, logits.gather(1, answer))


def _sure(logits: Tensor, student: Student, cascade: Cascade) -> Tensor:
    """Whether a student's answer would stand: (texts,) bool."""
    stages = {stage.student.name: stage for stage in cascade.stages[:-1]}
    stage = stages.get(student.name)
    if stage is None:
        return torch.softmax(logits / student.temperature, -1).amax(-1) >= SURE
    of_rows = (student.temperature, stage.threshold, stage.score.code, stage.scope)
    accepted: Tensor = gate(logits, *(torch.full((len(logits),), each) for each in of_rows)).accept
    return accepted
