"""The nested transformer itself, in torch."""

from __future__ import annotations

from torch import Tensor

from ..checkpoint.load import Checkpoint
from ..nested.batch import PackedBatch
from .answerer import Answerer


class TorchRunner:
    """Runs on the device where the weights lie; all students of a batch in one go."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model = checkpoint.model
        self.answer = Answerer(self, checkpoint.students)

    def __call__(self, batch: PackedBatch) -> Tensor:
        logits: Tensor = self._model(batch)
        return logits
