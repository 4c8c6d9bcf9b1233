"""What every task says of its answers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...kernels.gate.host import Decided, Floats
from ..nested.head_spec import HeadSpec

if TYPE_CHECKING:
    from torch import Tensor

    from ...kernels.gate.reference import GateDecision, Scores
    from ...kernels.operations import Operations

Gate = Callable[..., "GateDecision"]
"""Logits, temperature, threshold, by and scope in, as `kernels.gate.reference` has them."""
Shown = str | list[str]
"""An answer by its name, or by several names."""


class AnswerTask(ABC):
    """How answers are made of logits, (rows, labels), and what they are called.

    Answers are int64, 0 or above. With NumPy they are made where no torch is loaded. In training
    they are learnt by `label_loss` and `distillation_loss`, which are means over their rows.
    """

    def __init__(self, head: HeadSpec) -> None:
        self.head, self.labels = head, head.labels
        self._index = {name: i for i, name in enumerate(head.labels)}

    @abstractmethod
    def decide(
        self, logits: Floats, temperature: Floats, threshold: Floats, by: Floats, scope: Floats
    ) -> Decided:
        """The gate on a CPU, as `kernels.gate.host.decide` has it, in float32."""

    @abstractmethod
    def gate_of(self, operations: Operations) -> Gate:
        """The gate for tensors, as `kernels.gate.reference` has it, where these operations run."""

    @abstractmethod
    def scores(self, logits: Tensor, temperature: Tensor) -> Scores:
        """What thresholds may be held against, as exact as the logits."""

    @abstractmethod
    def answers(self, logits: Tensor) -> Tensor:
        """(rows,) int64. No temperature changes them."""

    def written(self, answer: int) -> str:
        """An answer as one text: a label, or a list of them in JSON, sorted."""
        found = self.shown(answer)
        return found if isinstance(found, str) else json.dumps(sorted(found), ensure_ascii=False)

    @property
    @abstractmethod
    def most(self) -> int:
        """The greatest answer there is."""

    @abstractmethod
    def f1(self, answers: Tensor, truth: Tensor) -> dict[str, float]:
        """What the field calls these, from 0 to 1, by name. answers, truth: (rows,) int64; an
        answer below 0 is none.
        """

    @abstractmethod
    def code(self, names: Sequence[str]) -> int:
        """The answer that these labels are. Raises KeyError for one that the head has not."""

    @abstractmethod
    def shown(self, answer: int) -> Shown:
        """An answer by name."""

    @abstractmethod
    def probabilities(self, logits: Floats, temperatures: Floats) -> Floats:
        """Of each label: (rows, labels). temperatures: (rows,)."""

    @abstractmethod
    def taught(self, answers: Tensor, names: Sequence[Sequence[str]]) -> Tensor:
        """What `label_loss` takes of texts with these labels, whose answers are `answers`."""

    @abstractmethod
    def label_loss(self, logits: Tensor, taught: Tensor, smoothing: float = 0.0) -> Tensor:
        """Of labels. smoothing: how much of their certainty is taken from them, 0 to 1."""

    @abstractmethod
    def surest(self, smoothing: float) -> float:
        """The confidence that smoothed labels teach."""

    @abstractmethod
    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Of a teacher's logits, to which no gradient flows: T² · KL at the temperature T (Hinton
        et al. 2015, arXiv 1503.02531).
        """

    @abstractmethod
    def surprise(self, logits: Tensor, answers: Tensor) -> Tensor:
        """How little each row's logits, divided by a temperature, have foreseen that `answers` are
        right: (rows,). Temperatures are fitted by its mean.
        """
