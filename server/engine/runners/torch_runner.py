"""The nested transformer itself, in torch."""

from __future__ import annotations

from torch import Tensor

from ....models.batch import PackedBatch
from ....models.transformer import NestedTransformer


class TorchRunner:
    """Runs on the device where the weights lie; all students of a batch in one go."""

    def __init__(self, model: NestedTransformer) -> None:
        self._model = model

    def __call__(self, batch: PackedBatch) -> Tensor:
        logits: Tensor = self._model(batch)
        return logits
