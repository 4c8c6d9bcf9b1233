"""Any number of labels hold, each on its own: an answer has a bit for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...kernels.gate.host import Decided, Floats
from ...kernels.set_gate.host import decide_sets
from ..nested.head_spec import HeadSpec
from .task import AnswerTask, Gate, Shown

if TYPE_CHECKING:
    from torch import Tensor

    from ...kernels.gate.reference import GateDecision, Scores
    from ...kernels.operations import Operations

TINY = 1e-12
"""How far from certain a logarithm of a probability is at least."""


class MultiLabel(AnswerTask):
    """The labels whose logits are at least 0; probabilities are sigmoids."""

    def __init__(self, head: HeadSpec) -> None:
        super().__init__(head)
        self._codes = 1 << np.arange(len(head.labels), dtype=np.int64)

    def decide(
        self, logits: Floats, temperature: Floats, threshold: Floats, by: Floats, scope: Floats
    ) -> Decided:
        return decide_sets(logits, self._codes, temperature, threshold, by, scope)

    def gate_of(self, operations: Operations) -> Gate:
        def gate(logits: Tensor, *of_rows: Tensor) -> GateDecision:
            return operations.set_gate(logits, self._codes_on(logits), *of_rows)

        return gate

    def scores(self, logits: Tensor, temperature: Tensor) -> Scores:
        from ...kernels.set_gate.reference import set_scores

        return set_scores(logits, self._codes_on(logits), temperature)

    def answers(self, logits: Tensor) -> Tensor:
        return (self._codes_on(logits) * (logits >= 0)).sum(dim=-1)

    @property
    def most(self) -> int:
        return (1 << len(self.labels)) - 1

    def f1(self, answers: Tensor, truth: Tensor) -> dict[str, float]:
        """micro_f1: of the labels of all texts together. macro_f1: mean over those that occur. Both
        are 0 where none does.
        """
        given, true = (self._held(each.clamp(min=0)) for each in (answers, truth))
        hits, total = (given & true).sum(0).double(), (given.long() + true.long()).sum(0)
        present = total > 0
        return {
            "micro_f1": (2 * hits.sum() / total.sum().clamp(min=1)).item(),
            "macro_f1": (2 * hits / total.clamp(min=1)).sum().item() / max(1, int(present.sum())),
        }

    def code(self, names: Sequence[str]) -> int:
        return int(self._codes[[self._index[name] for name in set(names)]].sum())

    def shown(self, answer: int) -> Shown:
        return [name for i, name in enumerate(self.labels) if answer >> i & 1]

    def probabilities(self, logits: Floats, temperatures: Floats) -> Floats:
        scaled = logits / temperatures[:, None]
        shares: Floats = np.exp(np.minimum(scaled, 0)) / (1 + np.exp(-np.abs(scaled)))
        return shares

    def taught(self, answers: Tensor, names: Sequence[Sequence[str]]) -> Tensor:
        """(rows, labels) float32, 1 for each label that holds."""
        import torch

        held = torch.zeros(len(names), len(self.labels))
        for row, each in enumerate(names):
            held[row, [self._index[name] for name in each]] = 1.0
        return held

    def label_loss(self, logits: Tensor, taught: Tensor, smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy, summed over the labels: each logit has the gradient p − y, as it
        has where one label holds.

        taught: (rows, labels) float32. smoothing: moves each y so far towards ½.
        """
        import torch.nn.functional as F

        wanted = taught + smoothing * (0.5 - taught)
        loss = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
        return loss.sum(dim=-1).mean()

    def surest(self, smoothing: float) -> float:
        return (1 - smoothing / 2) ** len(self.labels)

    def distillation_loss(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """The divergences of the labels, summed."""
        import torch.nn.functional as F

        ours, theirs = student.float() / temperature, teacher.detach().float() / temperature
        p = theirs.sigmoid()
        divergence = p * (F.logsigmoid(theirs) - F.logsigmoid(ours))
        divergence = divergence + (1 - p) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
        return divergence.sum(dim=-1).mean() * temperature**2

    def surprise(self, logits: Tensor, answers: Tensor) -> Tensor:
        """The binary cross-entropy of the confidence that the whole set is right. Labels are not as
        independent as their product takes them to be, and this is the number that is served.
        """
        import torch
        import torch.nn.functional as F

        right = F.logsigmoid(logits.abs()).sum(dim=-1)
        wrong = torch.log(-torch.expm1(right.clamp(max=-TINY)))
        return -right.where(self.answers(logits) == answers, wrong)

    def _held(self, answers: Tensor) -> Tensor:
        """(rows, labels) bool."""
        return (answers[:, None] & self._codes_on(answers)) > 0

    def _codes_on(self, like: Tensor) -> Tensor:
        import torch

        return 1 << torch.arange(len(self.labels), device=like.device)  # made there, not copied
