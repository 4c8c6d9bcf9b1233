"""Texts that may not test a promise, as they had a part in training, but may order its tests.

So all texts of the calibration but a few can test, where a quarter of them would have to order.
What is tested and in which order may come from anywhere but the texts that test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..cascade.policy import Student
from ..cascade.score import Score
from ..checkpoint.held_out import HeldOutAnswers, read_held_out
from ..checkpoint.manifest import Manifest
from ..evaluation.logits import StudentLogits
from .evidence import Evidence, Floats
from .gather import gather
from .sizes import helps
from .target import RiskTarget


def worth_knowing(manifest: Manifest, texts: int, target: RiskTarget) -> HeldOutAnswers | None:
    """What a checkpoint keeps of held-out texts, where it helps a calibration on so many texts.

    Raises CheckpointError for answers that are damaged or of other weights.
    """
    found = read_held_out(manifest)
    return found if found and helps(len(found), texts, target) else None


@dataclass(frozen=True)
class KnownTexts:
    """answers: in float32. reference: (texts,) int64, the classes that count as right. tokens:
    the length of each text. net: whether what recovers counts too.
    """

    answers: StudentLogits
    reference: Tensor
    tokens: list[int]
    net: bool

    @classmethod
    def of(
        cls, held_out: HeldOutAnswers, students: tuple[Student, ...], target: RiskTarget
    ) -> KnownTexts:
        """As a target counts them."""
        answers = StudentLogits(held_out.task, students, held_out.logits)
        reference = held_out.labels if target.needs_labels else answers.labels(answers.ta.name)
        return cls(answers, reference, held_out.tokens.tolist(), target.net)

    def __len__(self) -> int:
        return len(self.reference)

    def logits(self, student: str) -> Tensor:
        """(texts, labels) float32."""
        return self.answers.logits[student]

    def evidence(
        self,
        scores: Sequence[Score],
        temperatures: Mapping[str, float],
        cost: Floats,
        margin: float,
    ) -> dict[Score, Evidence]:
        """cost: (students, texts)."""
        return {
            score: gather(
                self.answers, self.reference, temperatures, score, cost, margin, net=self.net
            )
            for score in scores
        }
