"""What the engine asks: all students of one checkpoint, wherever their weights lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.batch import PackedBatch
from ...models.cascade import Student
from ...models.checkpoint import Checkpoint
from .runners import Runner, TorchRunner


class BackendGoneError(Exception):
    """What held the weights has ended; it can be started again."""


class Backend(Protocol):
    """A loaded checkpoint that answers batches, one at a time.

    checkpoint: what it serves; its own `model` may be without weights. device: where they lie, such
    as `cpu` or `cuda:0`. All methods may raise BackendGoneError, and what the computation raises.
    """

    checkpoint: Checkpoint
    device: str

    def run(self, batch: PackedBatch) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels), on the CPU."""

    def embed(
        self, sequences: Sequence[Sequence[int]], student: Student, dimensions: int
    ) -> Tensor:
        """The leading `dimensions` of each pooled hidden state, of length 1.

        Returns (sequences, dimensions) float32 on the CPU.
        """

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""

    def restart(self) -> None:
        """Abandon what runs, if anything does, and begin anew."""

    def stop(self) -> None:
        """Give everything back."""


class LocalBackend:
    """In this process: the weights, and a runner for them; torch if none is given."""

    def __init__(self, checkpoint: Checkpoint, runner: Runner | None = None) -> None:
        self.checkpoint = checkpoint
        self.device = str(checkpoint.model.tokens.device)
        self._runner = runner or TorchRunner(checkpoint.model)

    @torch.inference_mode()
    def run(self, batch: PackedBatch) -> Tensor:
        return self._runner(batch).float().cpu()

    @torch.inference_mode()
    def embed(
        self, sequences: Sequence[Sequence[int]], student: Student, dimensions: int
    ) -> Tensor:
        pooled = self.checkpoint.model.pool(PackedBatch.of(sequences, student.spec))
        return F.normalize(pooled[:, :dimensions].float().cpu(), dim=-1)

    @property
    def alive(self) -> bool:
        return True

    def restart(self) -> None:
        """Nothing runs by itself."""

    def stop(self) -> None:
        """Nothing is held that does not end with this process."""
