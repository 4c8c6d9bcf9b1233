"""What a step trains on: tokenised texts, and which of them are its turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import NotFiniteError
from ..heads import task_of
from ..heads.task import AnswerTask
from ..heads.truth import answers_in
from ..inputs.data import Labelled
from ..inputs.data.probabilities import probability_table
from ..inputs.text import Text
from ..inputs.tokenizer import TextTokenizer
from ..nested.batch import PackedBatch
from ..nested.head_spec import HeadSpec
from ..nested.spec import StudentSpec
from ..progress import SILENT, Progress

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Examples:
    """Token ids of each text, and its true answer.

    task: of the head. taught: what is learnt of the answers, as `task.label_loss` takes it.
    """

    task: AnswerTask
    sequences: tuple[list[int], ...]
    labels: Tensor
    taught: Tensor

    @classmethod
    def of(
        cls,
        data: Labelled,
        head: HeadSpec,
        source: str | Path,
        tokenizer: TextTokenizer,
        longest: int,
    ) -> Examples:
        """Texts beyond `longest` tokens are cut, as `tokenise` does. Where data come with
        probabilities those are taught, else the labels.

        source: of the data. Raises DataError for labels that the head has not.
        """
        task, answers = task_of(head), torch.tensor(answers_in(data, head, source))
        if data.probabilities:
            table = probability_table(data.probabilities, data.labels, head.labels)
            taught = torch.from_numpy(table)
        else:
            taught = task.taught(answers, data.named)
        return cls(task, tokenise(data.texts, tokenizer, longest), answers, taught)

    def at(self, indices: Sequence[int]) -> Examples:
        chosen = list(indices)
        sequences = tuple(self.sequences[i] for i in chosen)
        return Examples(self.task, sequences, self.labels[chosen], self.taught[chosen])

    def __len__(self) -> int:
        return len(self.sequences)


def tokenise(
    texts: Sequence[Text], tokenizer: TextTokenizer, longest: int
) -> tuple[list[int], ...]:
    """Token ids, at most `longest` each; of what is too long, as `encode_truncated` cuts it: who
    would cut the ids instead would leave nothing of some pairs' second text.
    """
    sequences = tokenizer.encode(texts)
    long = [i for i, ids in enumerate(sequences) if len(ids) > longest]
    for i, ids in zip(
        long, tokenizer.encode_truncated([texts[i] for i in long], longest), strict=True
    ):
        sequences[i] = ids
    return tuple(sequences)


def turn(step: int, batch: int, count: int, seed: int) -> np.ndarray:
    """Indices of a step's examples: every epoch another order, each example once in an epoch.

    A function of its arguments alone, so that a resumed run sees what an unbroken one sees.
    The examples left over at the end of an epoch, fewer than a batch, wait for another epoch.
    """
    batch = min(batch, count)
    epoch, position = divmod(step, count // batch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[position * batch : (position + 1) * batch]


def pack(sequences: Sequence[list[int]], indices: np.ndarray, student: StudentSpec) -> PackedBatch:
    """The chosen sequences as one batch for one student."""
    return PackedBatch.of([sequences[i] for i in indices], student)


@torch.inference_mode()
def logits_of(
    model: Callable[[PackedBatch], Tensor],
    student: StudentSpec,
    sequences: Sequence[list[int]],
    name: str,
    progress: Progress = SILENT,
    phase: str = "",
) -> Tensor:
    """A student's logits on texts, one at least: (texts, labels) float32 on the CPU.

    model: packed batch in, logits out. name: whose they are. phase: what the progress calls it.
    Raises NotFiniteError.
    """
    order = np.argsort([len(ids) for ids in sequences], kind="stable")
    parts = []
    for start in range(0, len(order), EVALUATION_BATCH):
        progress.step(phase, start, len(order))
        chosen = order[start : start + EVALUATION_BATCH]
        parts.append(model(pack(sequences, chosen, student)).float().cpu())
    result = torch.cat(parts)
    if wrong := int((~result.isfinite().all(-1)).sum()):
        raise NotFiniteError(f"{name}: logits of {wrong:,} of {len(result):,} texts are not finite")
    return torch.empty_like(result).index_copy(0, torch.from_numpy(order), result)


def right(
    model: Callable[[PackedBatch], Tensor], student: StudentSpec, examples: Examples, name: str
) -> Tensor:
    """Of each example, whether the student has its true answer: (examples,) bool.

    Raises NotFiniteError.
    """
    if not len(examples):
        return torch.zeros(0, dtype=torch.bool)
    logits = logits_of(model, student, examples.sequences, name)
    return examples.task.answers(logits) == examples.labels


def accuracy(
    model: Callable[[PackedBatch], Tensor], student: StudentSpec, examples: Examples, name: str
) -> float:
    """Share of examples, one at least, that a student has right. Raises NotFiniteError."""
    return right(model, student, examples, name).float().mean().item()
