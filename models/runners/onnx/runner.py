"""ONNX Runtime: one session per student, each group of a batch cut into runs and padded.

Memory: a session copies its student's slice of the weights. The table of token embeddings, most of
a small model, is mapped from a file: one copy for all students as wide as the TA, and for all
processes. No torch is loaded, but by those who ask with tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...checkpoint.finite import check_logits
from ...checkpoint.manifest import Manifest
from ...errors import NestlingError
from ...heads import task_of
from ...nested.spec import StudentSpec
from ...precision import Precision
from ...progress import SILENT, Progress
from ..base import ForwardBatch, ForwardOutput, ModelRunner
from .cache import graphs_of, is_kept
from .extra import RUNTIME, require
from .names import OUTPUT, POOLED, graph_file
from .runs import padded, places_at_once

if TYPE_CHECKING:
    from torch import Tensor

    from ...nested.batch import PackedBatch

CPU = "CPUExecutionProvider"
SHORTEST = 1e-12
"""Vectors that are shorter are not made longer, as torch has it."""


class OnnxRunner(ModelRunner):
    """Runs the students of one checkpoint; graphs that the cache lacks are made first.

    manifest: with the calibration of the precision. precision: `float32` or `int8`.
    providers: ONNX Runtime's execution providers, the preferred first. threads: of one operation.
    Raises NestlingError if ONNX Runtime is not installed, or a provider not in this build;
    CheckpointError if a weight or a student's answer is not finite.
    """

    device = "cpu"

    def __init__(
        self,
        manifest: Manifest,
        precision: Precision = "float32",
        providers: Sequence[str] = (CPU,),
        threads: int = 1,
        progress: Progress = SILENT,
    ) -> None:
        require(*RUNTIME)
        _check(providers)
        self.manifest, self.precision = manifest, precision
        self._task = task_of(manifest.architecture.head())
        self._specs = {student.spec: student.spec for student in manifest.students.values()}
        self._most = {spec: places_at_once(spec, manifest.architecture) for spec in self._specs}
        self._providers, self._threads = list(providers), threads
        self._sessions: dict[StudentSpec, Any] = {}
        self._for_vectors: dict[str, Any] = {}
        phase, students = "loading ONNX graphs, made first if need be", manifest.students.values()
        progress.step(phase, 0, len(students))
        with graphs_of(manifest, precision) as folder:
            for done, student in enumerate(students, start=1):
                self._sessions[student.spec] = self._opened(folder, student.name)
                progress.step(phase, done, len(students))
        check_logits(manifest, self._ask, "float32")
        if precision == "int8":
            self._prepare_vectors(progress)

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        """All in numpy: for one text torch's operations cost more than a student."""
        started = perf_counter()
        students = self.manifest.students
        runs = [(students[name].spec, count) for name, count in batch.runs]
        logits = self._logits(batch.tokens, batch.lengths, runs)
        said = self._task.decide(logits, *batch.of_rows)
        return ForwardOutput(*said, logits, perf_counter() - started)

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        """In float32, whatever the precision: vectors that were kept are those of torch, too."""
        tokens, lengths = _columns(sequences)
        spec = self.manifest.students[student].spec
        pooled = np.empty((len(lengths), spec.dim), np.float32)
        self._run(spec, self._exact(student), POOLED, tokens, lengths, pooled)
        leading = pooled[:, :dimensions]
        norms = np.linalg.norm(leading, axis=1, keepdims=True)
        vectors: NDArray[np.float32] = leading / np.maximum(norms, np.float32(SHORTEST))
        return vectors

    def logits(self, batch: PackedBatch) -> Tensor:
        """float32, on the CPU.

        Raises NestlingError for a student of another checkpoint, whose weights are not here.
        """
        from torch import from_numpy

        for spec in batch.students:
            if self._specs.get(spec) is not spec:  # equal widths say nothing of the weights
                raise NestlingError(
                    "runner: a student of another checkpoint; ONNX Runtime holds the weights of "
                    "the one it was made from"
                )
        runs = zip(batch.students, batch.layout.groups, strict=True)
        lengths = np.array(batch.layout.lengths)
        return from_numpy(self._logits(batch.tokens.cpu().numpy(), lengths, runs))

    def _ask(self, texts: Sequence[Sequence[int]], student: StudentSpec) -> NDArray[np.float32]:
        return self._logits(*_columns(texts), [(student, len(texts))])

    def _logits(
        self,
        tokens: NDArray[np.int64],
        lengths: NDArray[np.int64],
        runs: Iterable[tuple[StudentSpec, int]],
    ) -> NDArray[np.float32]:
        """tokens: (rows,), all sequences end to end. runs: a student, and how many it is asked.

        Returns (sequences, labels). Raises ValueError for a sequence without tokens.
        """
        logits = np.empty((len(lengths), len(self._task.labels)), np.float32)
        row = first = 0
        for spec, count in runs:
            if count:
                part = lengths[first : first + count]
                rows = int(part.sum())
                own = logits[first : first + count]
                self._run(spec, self._sessions[spec], OUTPUT, tokens[row : row + rows], part, own)
                row, first = row + rows, first + count
        return logits

    def _run(
        self,
        spec: StudentSpec,
        session: Any,
        output: str,
        tokens: NDArray[np.int64],
        lengths: NDArray[np.int64],
        into: NDArray[np.float32],
    ) -> None:
        """A student's output for each sequence: (sequences, columns)."""
        if not lengths.all():
            raise ValueError(f"sequence {lengths.argmin()} has no tokens")
        for places, inputs in padded(tokens, lengths, self._most[spec]):
            (into[places],) = session.run([output], inputs)

    def _prepare_vectors(self, progress: Progress) -> None:
        """Have the graphs in float32 as well: who made them while serving would seem to hang."""
        progress.step("making ONNX graphs for embeddings, if need be")
        with graphs_of(self.manifest, "float32") as folder:
            if not is_kept(folder):
                for student in self.manifest.students:
                    self._for_vectors[student] = self._opened(folder, student)

    def _exact(self, student: str) -> Any:
        """A session in float32, which int8 opens once somebody asks for this student's vectors."""
        if self.precision == "float32":
            return self._sessions[self.manifest.students[student].spec]
        if student not in self._for_vectors:
            with graphs_of(self.manifest, "float32") as folder:
                self._for_vectors[student] = self._opened(folder, student)
        return self._for_vectors[student]

    def _opened(self, folder: Path, student: str) -> Any:
        import onnxruntime

        file = folder / graph_file(student)
        return onnxruntime.InferenceSession(
            file, session_options(self._threads), providers=self._providers
        )


def _columns(
    sequences: Sequence[Sequence[int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids end to end, and how many each sequence has."""
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    return np.fromiter(chain.from_iterable(sequences), np.int64, lengths.sum()), lengths


def session_options(threads: int) -> Any:
    """`onnxruntime.SessionOptions` of every student. threads: of one operation."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Each session has threads of its own: they must not burn the cores while another one runs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _check(providers: Sequence[str]) -> None:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    for provider in providers:
        if provider not in available:
            raise NestlingError(
                f"onnx_providers: {provider!r} is not in this build of ONNX Runtime, which has "
                + ", ".join(available)
            )
