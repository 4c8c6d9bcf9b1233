"""Runners: packed batch in, logits out; or questions in, verdicts out, as the engine asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ....models.batch import PackedBatch
from ....models.step import Questions, Verdicts
from .torch_runner import TorchRunner

__all__ = ["Runner", "TorchRunner"]


class Runner(Protocol):
    """A backend that holds the weights."""

    def __call__(self, batch: PackedBatch) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels)."""

    @property
    def answer(self) -> Callable[[Questions], Verdicts]:
        """The same with the gate, in whatever way is fastest where the logits lie."""
