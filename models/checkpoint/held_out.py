"""What the students of a checkpoint answer on texts that were held out of their training.

They have chosen among states of the training, or among students in a search, so that they cannot
test a promise; but they can order its tests (`models.calibration`), and every text that needs not
do that is one more that tests. No text is kept, only answers. A file that was altered would make a
poorer order, and no promise less true: it has no hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError
from ..heads import task_of
from ..heads.task import AnswerTask
from .manifest import HELD_OUT, Manifest

LABELS, TOKENS, LOGITS = "labels", "tokens", "logits."
WEIGHTS_SHA256 = "weights_sha256"


@dataclass(frozen=True)
class HeldOutAnswers:
    """task: of the head. labels: (texts,) int64, the true answers. tokens: (texts,) int64, the
    length of each text. logits: by student's name, (texts, labels) float32.
    """

    task: AnswerTask
    labels: Tensor
    tokens: Tensor
    logits: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> dict[str, Tensor]:
        """By student, whether it has the true answer: (texts,) bool."""
        answers = self.task.answers
        return {name: answers(each) == self.labels for name, each in self.logits.items()}


def write_held_out(checkpoint: Path, answers: HeldOutAnswers, weights_sha256: str) -> None:
    """Add them to a checkpoint, in place of those that it has. Logits are kept as float16."""
    tensors = {LABELS: answers.labels, TOKENS: answers.tokens.int()}
    tensors |= {LOGITS + name: each.half() for name, each in answers.logits.items()}
    file = checkpoint / HELD_OUT
    temporary = file.with_name(file.name + ".tmp")
    save_file(
        {name: each.contiguous() for name, each in tensors.items()},
        temporary,
        metadata={WEIGHTS_SHA256: weights_sha256},
    )
    temporary.chmod(0o644)  # the library keeps it from everyone else
    temporary.replace(file)


def read_held_out(manifest: Manifest) -> HeldOutAnswers | None:
    """Of all students of a checkpoint; None where it keeps none, or none of some student.

    Raises CheckpointError for a file that is damaged or of other weights.
    """
    file = manifest.path / HELD_OUT
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            of = (opened.metadata() or {}).get(WEIGHTS_SHA256)
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(file, str(error)) from error
    if of != manifest.weights_sha256:
        raise CheckpointError(file, "of other weights than the checkpoint's")
    if any(LOGITS + name not in tensors for name in manifest.students):
        return None
    if not {LABELS, TOKENS} <= tensors.keys():
        raise CheckpointError(file, "without the labels or lengths of its texts")
    task = task_of(manifest.architecture.head())
    logits = {name: tensors[LOGITS + name].float() for name in manifest.students}
    answers = HeldOutAnswers(task, tensors[LABELS].long(), tensors[TOKENS].long(), logits)
    _check(answers, manifest, file)
    return answers


def _check(answers: HeldOutAnswers, manifest: Manifest, file: Path) -> None:
    texts, labels = len(answers), len(manifest.architecture.head().labels)
    if any(each.shape != (texts, labels) for each in answers.logits.values()):
        raise CheckpointError(file, f"logits that are not of {texts} texts and {labels} labels")
    if not all(each.isfinite().all() for each in answers.logits.values()):
        raise CheckpointError(file, "logits that are not finite")
    for what, each, limit in (
        ("labels", answers.labels, answers.task.most),
        ("tokens", answers.tokens, manifest.architecture.max_tokens),
    ):
        if len(each) != texts or each.min() < 0 or each.max() > limit:
            raise CheckpointError(file, f"{what} that are not from 0 to {limit}")
