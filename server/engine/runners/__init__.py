"""Runners: packed batch in, logits out. The engine knows nothing else of a backend."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ....models.batch import PackedBatch
from .torch_runner import TorchRunner

__all__ = ["Runner", "TorchRunner"]


class Runner(Protocol):
    """A backend that holds the weights."""

    def __call__(self, batch: PackedBatch) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels)."""
