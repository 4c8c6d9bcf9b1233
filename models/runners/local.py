"""All students of one checkpoint in this process: what the worker runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..checkpoint.load import Checkpoint
from ..nested.batch import PackedBatch
from .base import ForwardBatch, ForwardOutput
from .runner import Runner
from .torch_runner import TorchRunner


class LocalStudents:
    """The weights, and a runner for them; torch if none is given."""

    def __init__(self, checkpoint: Checkpoint, runner: Runner | None = None) -> None:
        self.manifest = checkpoint
        self.device = str(checkpoint.model.tokens.device)
        self._model = checkpoint.model
        self._answer = (runner or TorchRunner(checkpoint)).answer

    def ask(self, questions: ForwardBatch) -> ForwardOutput:
        try:
            return self._answer(questions)
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
