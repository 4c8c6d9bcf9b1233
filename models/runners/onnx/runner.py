"""ONNX Runtime: one session per student, each group of a batch padded and run by its own.

Memory: a session copies its student's slice of the weights. The table of token embeddings, most of
a small model, it shares with the TA where the student is as wide as the TA and both are float32 on
the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....kernels import Layout
from ....kernels.gate.host import decide
from ...cascade.policy import Student
from ...checkpoint.finite import check_logits
from ...checkpoint.load import Checkpoint
from ...errors import NestlingError
from ...nested.batch import PackedBatch
from ...nested.spec import StudentSpec
from ...precision import Precision
from ...progress import SILENT, Progress
from ..base import ForwardBatch, ForwardOutput, ModelRunner
from ..torch import TorchRunner
from . import graph_of, require
from .extra import EXPORTER, RUNTIME
from .graph import INPUTS, OUTPUT, TOKENS

CPU = "CPUExecutionProvider"


class OnnxRunner(ModelRunner):
    """Runs the students of one loaded checkpoint; graphs that the cache lacks are made first.

    precision: `float32` or `int8`.
    providers: ONNX Runtime's execution providers, the preferred first. threads: of one operation.
    Raises NestlingError if the extra `onnx` is not installed, or a provider not in this build;
    CheckpointError if a student answers with numbers that are not finite.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        precision: Precision = "float32",
        providers: Sequence[str] = (CPU,),
        threads: int = 1,
        progress: Progress = SILENT,
    ) -> None:
        require(*EXPORTER, *RUNTIME)
        _check(providers)
        self.manifest, self.device = checkpoint, str(checkpoint.model.device)
        self.precision = precision
        self._labels = len(checkpoint.architecture.labels)
        self._specs = {student.spec: student.spec for student in checkpoint.students.values()}
        self._embedder = TorchRunner(checkpoint)
        self._sessions = {}
        for done, student in enumerate(checkpoint.students.values()):
            progress.step(
                "loading ONNX graphs, made first if need be", done, len(checkpoint.students)
            )
            session = _session(checkpoint, student, precision, providers, threads)
            self._sessions[student.spec] = session
        check_logits(checkpoint, self.logits, torch.float32)

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        """All in numpy: for one text torch's operations cost more than a student."""
        started = perf_counter()
        students = self.manifest.students
        runs = [(students[name].spec, count) for name, count in batch.runs]
        logits = self._logits(batch.tokens, batch.lengths, runs)
        said = decide(logits, *batch.of_rows)
        return ForwardOutput(*said, logits, perf_counter() - started)

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        """By torch: a graph gives logits alone."""
        return self._embedder.embed(sequences, student, dimensions)

    def logits(self, batch: PackedBatch) -> Tensor:
        """float32, on the CPU.

        Raises NestlingError for a student of another checkpoint, whose weights are not here.
        """
        for spec in batch.students:
            if self._specs.get(spec) is not spec:  # equal widths say nothing of the weights
                raise NestlingError(
                    "runner: a student of another checkpoint; ONNX Runtime holds the weights of "
                    "the one it was made from"
                )
        runs = zip(batch.students, batch.layout.groups, strict=True)
        lengths = np.array(batch.layout.lengths)
        return torch.from_numpy(self._logits(batch.tokens.cpu().numpy(), lengths, runs))

    def _logits(
        self,
        tokens: NDArray[np.int64],
        lengths: NDArray[np.int64],
        runs: Iterable[tuple[StudentSpec, int]],
    ) -> NDArray[np.float32]:
        """tokens: (rows,), all sequences end to end. runs: a student, and how many it is asked.

        Returns (sequences, labels). Raises ValueError for a sequence without tokens.
        """
        if not lengths.all():
            raise ValueError(f"sequence {lengths.argmin()} has no tokens")
        logits = np.empty((len(lengths), self._labels), np.float32)
        row = first = 0
        for spec, count in runs:
            if count:
                part = lengths[first : first + count]
                rows = int(part.sum())
                for places, inputs in _padded(tokens[row : row + rows], part):
                    (logits[first + places],) = self._sessions[spec].run([OUTPUT], inputs)
                row, first = row + rows, first + count
        return logits


def _padded(
    tokens: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]]:
    """Sequences about as long as each other, by their place, and a graph's inputs for them: one
    long sequence does not pad all others to its length.
    """
    layout = Layout(tuple(lengths.tolist()), (len(lengths),))
    if len(layout.alike) == 1:
        yield np.arange(len(lengths)), _pad(tokens, lengths)
        return
    parts, _ = layout.split(layout.alike)
    for each, part in zip(layout.alike, parts, strict=True):
        places = np.array(each)
        yield places, _pad(tokens[part.rows.values], lengths[places])


def _pad(tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """A graph's inputs: sequences padded to the longest. tokens: (rows,), end to end."""
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = tokens
    return dict(zip(INPUTS, (ids, mask.astype(np.int64)), strict=True))


def session_options(threads: int) -> Any:
    """`onnxruntime.SessionOptions` of every student. threads: of one operation."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Each session has threads of its own: they must not burn the cores while another one runs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _session(
    checkpoint: Checkpoint,
    student: Student,
    precision: Precision,
    providers: Sequence[str],
    threads: int,
) -> Any:
    import onnxruntime

    options = session_options(threads)
    table = checkpoint.model.embedding.tokens
    if student.spec.dim == table.shape[1] and (table.dtype, table.device.type) == (
        torch.float32,
        "cpu",
    ):
        shared = onnxruntime.OrtValue.ortvalue_from_numpy(table.numpy())  # a view on the CPU
        options.add_initializer(TOKENS, shared)
    with graph_of(checkpoint, student.spec, precision) as file:
        return onnxruntime.InferenceSession(file, options, providers=list(providers))


def _check(providers: Sequence[str]) -> None:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    for provider in providers:
        if provider not in available:
            raise NestlingError(
                f"onnx_providers: {provider!r} is not in this build of ONNX Runtime, which has "
                + ", ".join(available)
            )
