"""The part of the training data that training does not learn from, so that it can be judged by it.

It says when to stop, which state to keep and whether the TA is as good as its teacher. The texts
that calibrate a cascade are never asked: what chose a model cannot test it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..checkpoint.held_out import HeldOutAnswers
from ..inputs.data.fingerprints import fingerprint
from ..inputs.data.label_columns import LabelSet
from ..inputs.text import Text
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import SILENT, Progress
from .examples import Examples, logits_of

SHARE = 0.1
MOST = 1000
TELLING = 50
"""Held-out texts from which a difference says anything; fewer choose nothing."""


def split(
    texts: Sequence[Text], labels: Sequence[LabelSet], seed: int
) -> tuple[list[int], list[int]]:
    """Indices of the texts that train and of those held out, each in order.

    labels: of each text. Texts that repeat stay together, and each label keeps at least half of its
    texts for training; of several labels each counts by itself, as their sets hardly repeat.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        groups[fingerprint(text)].append(index)
    wanted = min(MOST, round(SHARE * len(texts)))
    total, taken = Counter(name for each in labels for name in each), Counter[str]()
    held: set[int] = set()
    known = list(groups.values())
    for chosen in np.random.default_rng([seed, len(texts)]).permutation(len(known)):
        group = known[chosen]
        of = Counter(name for i in group for name in labels[i])
        spared = all(2 * (taken[label] + of[label]) <= total[label] for label in of)
        if spared and len(held) + len(group) <= wanted:
            held.update(group)
            taken.update(of)
        if len(held) == wanted:
            break
    return [i for i in range(len(texts)) if i not in held], sorted(held)


def nothing_learnt(answers: torch.Tensor, teacher: torch.Tensor) -> float:
    """The accuracy up to which nothing was learnt: a tenth of the way from always saying what most
    texts have to the teacher's; 0 without texts.

    answers: (texts,) int64, the true ones. teacher: (texts,) bool, which it has right.
    """
    if not len(answers):
        return 0.0
    commonest = float(np.unique(answers.numpy(), return_counts=True)[1].max()) / len(answers)
    return commonest + 0.1 * max(0.0, float(teacher.float().mean()) - commonest)


def asked(
    model: NestedTransformer,
    students: Mapping[str, StudentSpec],
    held_out: Examples,
    progress: Progress = SILENT,
) -> HeldOutAnswers | None:
    """What all students answer on the held-out texts; None where there are none."""
    if not len(held_out):
        return None
    logits = {
        name: logits_of(model, spec, held_out.sequences, name, progress, "asking held-out texts")
        for name, spec in students.items()
    }
    tokens = torch.tensor(list(map(len, held_out.sequences)))
    return HeldOutAnswers(held_out.task, held_out.labels, tokens, logits)
