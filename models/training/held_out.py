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
from ..inputs.text import Text
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from ..progress import SILENT, Progress
from .examples import Examples, logits_of

SHARE = 0.1
MOST = 1000
TELLING = 50
"""Held-out texts from which a difference says anything; fewer choose nothing."""


def split(texts: Sequence[Text], labels: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Indices of the texts that train and of those held out, each in order.

    Texts that repeat stay together, and each label keeps at least half of its texts for training.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        groups[fingerprint(text)].append(index)
    wanted = min(MOST, round(SHARE * len(texts)))
    total, taken = Counter(labels), Counter[str]()
    held: set[int] = set()
    known = list(groups.values())
    for chosen in np.random.default_rng([seed, len(texts)]).permutation(len(known)):
        group = known[chosen]
        of = Counter(labels[i] for i in group)
        spared = all(2 * (taken[label] + of[label]) <= total[label] for label in of)
        if spared and len(held) + len(group) <= wanted:
            held.update(group)
            taken.update(of)
        if len(held) == wanted:
            break
    return [i for i in range(len(texts)) if i not in held], sorted(held)


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
    return HeldOutAnswers(held_out.labels, tokens, logits)
