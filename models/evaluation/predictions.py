"""What every student answers on a data set: the raw material of calibration and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..cascade.policy import Student
from ..checkpoint.load import Checkpoint
from ..checkpoint.manifest import TA, Manifest
from ..errors import DataError
from ..heads import task_of
from ..inputs.text import Text
from ..nested.batch import PackedBatch
from ..progress import SILENT, Progress
from ..runners.base import ModelRunner
from ..runners.torch import TorchRunner
from .by_length import by_length
from .logits import StudentLogits

MAX_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Predictions(StudentLogits):
    """With the texts themselves. sequences: token ids of each, in file order."""

    sequences: tuple[tuple[int, ...], ...]

    def flops(self, student: Student) -> Tensor:
        """Of that student on each text: (texts,) float64."""
        return torch.tensor([student.flops.of(len(s)) for s in self.sequences], dtype=torch.float64)


@torch.inference_mode()
def predict_all(
    checkpoint: Checkpoint,
    texts: Sequence[Text],
    source: str | Path,
    runner: ModelRunner | None = None,
    progress: Progress = SILENT,
) -> Predictions:
    """Ask every student for every text. Raises DataError naming a row that is too long.

    runner: by default torch.
    """
    runner = runner or TorchRunner(checkpoint)
    sequences = encode_all(checkpoint, texts, source)
    students = tuple(checkpoint.students.values())
    task = task_of(checkpoint.architecture.head())
    labels = len(task.labels)
    dtype = checkpoint.model.dtype
    logits = {s.name: torch.empty(len(texts), labels, dtype=dtype) for s in students}
    done = 0
    asked = "every student" if len(students) > 1 else students[0].name
    for rows in by_length(list(map(len, sequences)), MAX_BATCH_TOKENS):
        progress.step(f"asking {asked} about {source}", done, len(texts))
        done += len(rows)
        packed = PackedBatch.of([sequences[row] for row in rows], students[0].spec)
        for student in students:
            logits[student.name][rows] = runner.logits(packed.for_student(student.spec)).cpu()
    return Predictions(task, students, logits, tuple(map(tuple, sequences)))


def answers_of_ta(
    checkpoint: Checkpoint, texts: Sequence[Text], source: str | Path, progress: Progress = SILENT
) -> Tensor:
    """What the TA alone answers, by torch, in the dtype of the checkpoint: (texts,) int64."""
    alone = replace(checkpoint, students={TA: checkpoint.ta})
    return predict_all(alone, texts, source, progress=progress).labels(TA)


def fitting(
    manifest: Manifest, texts: Sequence[Text], source: str | Path
) -> tuple[tuple[Text, ...], list[str]]:
    """The texts as students can read them, and a sentence that says how many are cut for that.

    A text that is too long is answered by its beginning, as a request with `truncate` is.
    """
    limit = manifest.architecture.max_tokens
    lengths = map(len, manifest.tokenizer.encode(texts))
    long = [row for row, length in enumerate(lengths) if length > limit]
    if not long:
        return tuple(texts), []
    short = list(texts)
    cut = manifest.tokenizer.beginnings([texts[row] for row in long], limit)
    for row, text in zip(long, cut, strict=True):
        short[row] = text
    doubt = (
        f"{source}: {len(long):,} of {len(texts):,} texts have more than {limit} tokens; what "
        "follows is of their beginnings, as a server answers them that is asked to truncate"
    )
    return tuple(short), [doubt]


def encode_all(manifest: Manifest, texts: Sequence[Text], source: str | Path) -> list[list[int]]:
    """Token ids of each text. Raises DataError naming a row that is too long."""
    sequences = manifest.tokenizer.encode(texts)
    limit = manifest.architecture.max_tokens
    for row, sequence in enumerate(sequences, start=1):
        if len(sequence) > limit:
            raise DataError(f"{source}: row {row}: {len(sequence)} tokens; the limit is {limit}")
    return sequences
