"""A backend in this process: what the worker runs, and who needs no worker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...models.answerer import Answerer
from ...models.batch import PackedBatch
from ...models.checkpoint import Checkpoint
from ...models.step import Questions, Verdicts
from .runners import Runner, TorchRunner


class LocalBackend:
    """The weights, and a runner for them; torch if none is given."""

    def __init__(self, checkpoint: Checkpoint, runner: Runner | None = None) -> None:
        self.manifest = checkpoint
        self.device = str(checkpoint.model.tokens.device)
        self._model = checkpoint.model
        self._answerer = Answerer(runner or TorchRunner(checkpoint.model), checkpoint.students)

    def ask(self, questions: Questions) -> Verdicts:
        try:
            return self._answerer(questions)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error

    @torch.inference_mode()
    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        batch = PackedBatch.of(sequences, self.manifest.students[student].spec)
        pooled = self._model.pool(batch)[:, :dimensions].float().cpu()
        vectors: NDArray[np.float32] = F.normalize(pooled, dim=-1).numpy()
        return vectors

    @property
    def alive(self) -> bool:
        return True

    def restart(self) -> None:
        """Nothing runs by itself."""

    def stop(self) -> None:
        """Nothing is held that does not end with this process."""
