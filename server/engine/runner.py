"""Runners: packed batch in, logits out. The engine knows nothing else of a backend."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ...models.batch import PackedBatch
from ...models.transformer import NestedTransformer


class Runner(Protocol):
    """A backend that holds the weights."""

    def __call__(self, batch: PackedBatch) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels)."""


class TorchRunner:
    """The nested transformer itself, on the device where its weights lie."""

    def __init__(self, model: NestedTransformer) -> None:
        self._model = model

    def __call__(self, batch: PackedBatch) -> Tensor:
        logits: Tensor = self._model(batch)
        return logits
