"""All students of one checkpoint in this process: what the worker runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...models.answerer import Answerer
from ...models.batch import PackedBatch
from ...models.checkpoint import Checkpoint
from ...models.step import Questions, Verdicts
from .runners import Runner, TorchRunner
from .runners.onnx_runner import OnnxRunner


class LocalStudents:
    """The weights, and a runner for them; torch if none is given."""

    def __init__(self, checkpoint: Checkpoint, runner: Runner | None = None) -> None:
        self.manifest = checkpoint
        self.device = str(checkpoint.model.tokens.device)
        self._model = checkpoint.model
        if isinstance(runner, OnnxRunner):
            self._answer: Callable[[Questions], Verdicts] = runner.answer
        else:
            self._answer = Answerer(runner or TorchRunner(checkpoint.model), checkpoint.students)

    def ask(self, questions: Questions) -> Verdicts:
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
