"""The nested transformer itself, in torch: on the device where the weights lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...kernels.gate.reference import GateDecision
from ...kernels.operations import operations_for
from ...kernels.prefix import widths
from ..checkpoint.load import Checkpoint
from ..heads import task_of
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import StudentWeights
from ..precision import name_of
from ..progress import Progress
from .base import ForwardBatch, ForwardOutput, ModelRunner
from .download import Stopwatch, download, pack, unpack

MOST_MIXES = 1024
"""Combinations of students whose widths are kept."""


class Mix(NamedTuple):
    """What the groups of a batch have of the weights, in order.

    widths: that its operations ask a device for.
    """

    students: list[StudentWeights]
    widths: list[tuple[int, ...]]


class TorchRunner(ModelRunner):
    """All students of a batch in one go; each one's views of the weights are made once.

    A batch goes to a CUDA device in one copy and comes back in one, and is waited for once.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.manifest = checkpoint
        self._model = checkpoint.model
        self.device, self.precision = str(self._model.device), name_of(self._model.dtype)
        self._task = task_of(checkpoint.architecture.head())
        self._gate = self._task.gate_of(operations_for(self._model.device))
        self._weights = {
            student.spec: self._model.student(student.spec)
            for student in checkpoint.students.values()
        }
        self._mix = lru_cache(maxsize=MOST_MIXES)(self._made)

    @torch.inference_mode()
    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        students = self.manifest.students
        packed = PackedBatch.packed(
            batch.tokens,
            batch.lengths,
            [count for _, count in batch.runs],
            [students[name].spec for name, _ in batch.runs],
        )
        try:
            watch = Stopwatch(self._model.device)
            mix = self._mix(packed.students)
            of_rows = packed.upload(self._model.device, mix.widths, batch.of_rows)
            logits = self._model(packed, students=mix.students)
            return _read(self._gate(logits, *of_rows), logits, watch)
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error

    @torch.inference_mode()
    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        packed = PackedBatch.of(sequences, self.manifest.students[student].spec)
        try:
            watch = Stopwatch(self._model.device)
            mix = self._mix(packed.students)
            packed.upload(self._model.device, mix.widths)
            pooled = self._model.pool(packed, mix.students)
            vectors = download(F.normalize(pooled[:, :dimensions].float(), dim=-1))
            watch.wait()
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error
        normed: NDArray[np.float32] = vectors.numpy()
        return normed

    @torch.inference_mode()
    def logits(self, batch: PackedBatch) -> Tensor:
        mix = self._mix(batch.students)
        batch.upload(self._model.device, mix.widths)
        logits: Tensor = self._model(batch, students=mix.students)
        return logits

    def _made(self, specs: tuple[StudentSpec, ...]) -> Mix:
        """Students of the checkpoint, or any others that fit in the TA."""
        students = [self._weights.get(spec) or self._model.student(spec) for spec in specs]
        given = chain.from_iterable(self._model.operations(students))
        return Mix(students, list(dict.fromkeys(chain.from_iterable(map(widths, given)))))

    def warm_up(self, max_tokens: int, progress: Progress) -> None:
        """Nothing is compiled elsewhere than on CUDA."""
        if self._model.device.type != "cuda":
            return
        from .warm_up import warm_up_batches  # needs Triton, which only CUDA needs

        batches = list(warm_up_batches(self.manifest, self._model, max_tokens))
        for done, batch in enumerate(batches):
            progress.step("compiling kernels", done, len(batches))
            self.forward(batch)
        for name in self.manifest.students:
            self.embed([[0]], name, self.manifest.architecture.dim)
        progress.step("compiling kernels", len(batches), len(batches))


def _read(decision: GateDecision, logits: Tensor, watch: Stopwatch) -> ForwardOutput:
    """The answers, on the host."""
    if logits.device.type == "cpu":
        answers: NDArray[np.float32] = logits.float().numpy()
        label, confidence, score, accept, energy, inside = (each.numpy() for each in decision)
        return ForwardOutput(
            label, confidence, score, accept, energy, inside, answers, watch.wait()
        )
    packed = download(pack(*decision, logits))
    seconds = watch.wait()
    label, columns, answers = unpack(packed, len(decision) - 1)
    confidence, score, accept, energy, inside = columns
    return ForwardOutput(
        label,
        confidence,
        score,
        accept.astype(np.bool_),
        energy,
        inside.astype(np.bool_),
        answers,
        seconds,
    )
