"""An encoder without a classifier becomes the teacher: all its weights learn the labels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..heads import task_of
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from .examples import Examples, accuracy, pack, turn
from .recipe import Recipe


class MeanTeacher(nn.Module):
    """An encoder with a classifier on the mean of its last hidden rows.

    Sentence encoders are trained to hold the meaning there; their first token's row starts from
    nothing. The classifier is the teacher's alone: the TA learns one on the first token.
    """

    def __init__(self, model: NestedTransformer) -> None:
        super().__init__()
        self.model = model
        self.head = nn.Linear(model.architecture.dim, len(model.architecture.head().labels))

    def forward(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits, (sequences, labels)."""
        rows, layout = self.model.encode(batch, dropout=dropout, every_row=True)
        lengths = torch.tensor(layout.lengths, device=rows.device)
        owner = torch.arange(len(lengths), device=rows.device).repeat_interleave(lengths)
        sums = rows.new_zeros(len(lengths), rows.shape[1]).index_add(0, owner, rows)
        logits: Tensor = self.head(F.dropout(sums / lengths[:, None], dropout))
        return logits


class FineTuning:
    """The objective: the labels."""

    name = "teacher"
    advice = "look at the data, or take another encoder"

    def __init__(
        self, teacher: MeanTeacher, train: Examples, held_out: Examples, recipe: Recipe
    ) -> None:
        self.phase = recipe.finetune
        self.module = _LabelLoss(teacher, recipe)
        self.relative_rates = dict.fromkeys(teacher.head.parameters(), recipe.head_rate)
        self._teacher, self._full = teacher, StudentSpec.full(teacher.model.architecture)
        self._train, self._held_out, self._recipe = train, held_out, recipe

    def inputs(self, step: int, rank: int, processes: int) -> tuple[PackedBatch, Tensor]:
        recipe = self._recipe
        chosen: np.ndarray = turn(step, recipe.finetune.batch_size, len(self._train), recipe.seed)[
            rank::processes
        ]
        return pack(self._train.sequences, chosen, self._full), self._train.taught[chosen]

    def evaluate(self) -> dict[str, float]:
        if not len(self._held_out):
            return {}
        return {"teacher": accuracy(self._teacher, self._full, self._held_out, "teacher")}


class _LabelLoss(nn.Module):
    def __init__(self, teacher: MeanTeacher, recipe: Recipe) -> None:
        super().__init__()
        self.teacher, self.recipe = teacher, recipe
        self._task = task_of(teacher.model.architecture.head())
        teacher.model.head().requires_grad_(False)  # the TA's, which has no turn yet

    def forward(self, batch: PackedBatch, labels: Tensor) -> dict[str, Tensor]:
        logits = self.teacher(batch, self.recipe.finetune.dropout)
        taught = labels.to(logits.device)
        return {"labels": self._task.label_loss(logits, taught, self.recipe.smoothing)}
