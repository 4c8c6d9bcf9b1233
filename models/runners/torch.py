"""The nested transformer itself, in torch: on the device where the weights lie."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...kernels import operations_for
from ..checkpoint.load import Checkpoint
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import StudentWeights
from ..precision import name_of
from .base import ForwardBatch, ForwardOutput, ModelRunner


class TorchRunner(ModelRunner):
    """All students of a batch in one go; each one's views of the weights are made once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.manifest = checkpoint
        self._model = checkpoint.model
        self.device, self.precision = str(self._model.device), name_of(self._model.dtype)
        self._gate = operations_for(self._model.device).gate
        self._weights = {
            student.spec: self._model.student(student.spec)
            for student in checkpoint.students.values()
        }

    @torch.inference_mode()
    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        students = self.manifest.students
        packed = PackedBatch.runs(
            batch.sequences,
            [count for _, count in batch.runs],
            [students[name].spec for name, _ in batch.runs],
        )
        started = perf_counter()
        try:
            logits = self.logits(packed)
            temperatures, thresholds = (
                # torch.tensor is slower
                torch.from_numpy(np.array(values, np.float32)).to(logits.device)
                for values in (batch.temperatures, batch.thresholds)
            )
            decision = self._gate(logits, temperatures, thresholds)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        return ForwardOutput(
            decision.label.tolist(),
            decision.confidence.tolist(),
            decision.accept.tolist(),
            logits.float().cpu().numpy(),
            perf_counter() - started,
        )

    @torch.inference_mode()
    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        spec = self.manifest.students[student].spec
        try:
            pooled = self._model.pool(PackedBatch.of(sequences, spec), [self._weights[spec]])
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        vectors: NDArray[np.float32] = F.normalize(
            pooled[:, :dimensions].float().cpu(), dim=-1
        ).numpy()
        return vectors

    @torch.inference_mode()
    def logits(self, batch: PackedBatch) -> Tensor:
        logits: Tensor = self._model(batch, students=[self._of(spec) for spec in batch.students])
        return logits

    def _of(self, spec: StudentSpec) -> StudentWeights:
        """A student of the checkpoint, or any other that fits in the TA."""
        return self._weights.get(spec) or self._model.student(spec)
