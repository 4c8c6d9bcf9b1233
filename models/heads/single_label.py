"""Exactly one label holds: an answer is its index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...kernels.gate.host import Decided, Floats, decide
from .task import AnswerTask, Gate, Shown

if TYPE_CHECKING:
    from torch import Tensor

    from ...kernels.gate.reference import Scores
    from ...kernels.operations import Operations


class SingleLabel(AnswerTask):
    """The label of the highest logit; probabilities are a softmax."""

    def decide(
        self, logits: Floats, temperature: Floats, threshold: Floats, by: Floats, scope: Floats
    ) -> Decided:
        return decide(logits, temperature, threshold, by, scope)

    def gate_of(self, operations: Operations) -> Gate:
        return operations.gate

    def scores(self, logits: Tensor, temperature: Tensor) -> Scores:
        from ...kernels.gate.reference import scores

        return scores(logits, temperature)

    def answers(self, logits: Tensor) -> Tensor:
        return logits.argmax(dim=-1)

    @property
    def most(self) -> int:
        return len(self.labels) - 1

    def f1(self, answers: Tensor, truth: Tensor) -> dict[str, float]:
        """macro_f1: mean over the classes that occur of 2·TP / (2·TP + FP + FN)."""
        import torch

        size = int(torch.maximum(answers.max(), truth.max())) + 1
        hits = torch.bincount(truth[answers == truth], minlength=size).double()
        given = torch.bincount(answers[answers >= 0], minlength=size)
        total = given + torch.bincount(truth, minlength=size)
        present = total > 0
        return {"macro_f1": (2 * hits[present] / total[present]).mean().item()}

    def code(self, names: Sequence[str]) -> int:
        [name] = names
        return self._index[name]

    def shown(self, answer: int) -> Shown:
        return self.labels[answer]

    def probabilities(self, logits: Floats, temperatures: Floats) -> Floats:
        scaled = logits / temperatures[:, None]
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
        return shares

    def taught(self, answers: Tensor, names: Sequence[Sequence[str]]) -> Tensor:
        return answers

    def label_loss(self, logits: Tensor, taught: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy, smoothed (Szegedy et al. 2016, arXiv 1512.00567, eq. 7).

        taught: (rows,) int64, or probabilities, (rows, labels) float32; a label whose probability
        is 1 gives what the label itself gives.
        """
        import torch.nn.functional as F

        return F.cross_entropy(logits.float(), taught, label_smoothing=smoothing)

    def surest(self, smoothing: float) -> float:
        return 1 - smoothing + smoothing / len(self.labels)

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        import torch.nn.functional as F

        log_student = F.log_softmax(student.float() / temperature, dim=-1)
        log_teacher = F.log_softmax(teacher.detach().float() / temperature, dim=-1)
        divergence = F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
        return divergence * temperature**2

    def surprise(self, logits: Tensor, answers: Tensor) -> Tensor:
        """The negative log-likelihood of the labels (Guo et al. 2017, arXiv 1706.04599)."""
        import torch.nn.functional as F

        return F.cross_entropy(logits, answers, reduction="none")
