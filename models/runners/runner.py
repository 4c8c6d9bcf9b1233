"""Runners: packed batch in, logits out; or questions in, verdicts out, as the engine asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ..nested.batch import PackedBatch
from .base import ForwardBatch, ForwardOutput


class Runner(Protocol):
    """A backend that holds the weights."""

    def __call__(self, batch: PackedBatch) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels)."""

    @property
    def answer(self) -> Callable[[ForwardBatch], ForwardOutput]:
        """The same with the gate, in whatever way is fastest where the logits lie."""
