"""An encoder without a classifier becomes the teacher: all its weights learn the labels."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from ..batch import PackedBatch
from ..spec import StudentSpec
from ..transformer import NestedTransformer
from .examples import Examples, accuracy, pack, turn
from .losses import label_loss
from .recipe import Recipe


class FineTuning:
    """The objective: cross-entropy of the whole transformer."""

    name = "teacher"

    def __init__(
        self, model: NestedTransformer, train: Examples, validation: Examples, recipe: Recipe
    ) -> None:
        self.module = _LabelLoss(model, recipe)
        self.slow: dict[nn.Parameter, float] = {}
        self._model, self._full = model, StudentSpec.full(model.architecture)
        self._train, self._validation, self._recipe = train, validation, recipe

    def inputs(self, step: int, rank: int, processes: int) -> tuple[PackedBatch, Tensor]:
        recipe = self._recipe
        chosen: np.ndarray = turn(step, recipe.finetune.batch_size, len(self._train), recipe.seed)[
            rank::processes
        ]
        return pack(self._train.sequences, chosen, self._full), self._train.labels[chosen]

    def evaluate(self) -> dict[str, float]:
        return {"teacher": accuracy(self._model, self._full, self._validation)}


class _LabelLoss(nn.Module):
    def __init__(self, model: NestedTransformer, recipe: Recipe) -> None:
        super().__init__()
        self.model, self.recipe = model, recipe

    def forward(self, batch: PackedBatch, labels: Tensor) -> dict[str, Tensor]:
        logits = self.model(batch, dropout=self.recipe.finetune.dropout)
        return {"labels": label_loss(logits, labels.to(logits.device), self.recipe.smoothing)}
