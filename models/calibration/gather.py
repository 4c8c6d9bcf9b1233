"""From the students' answers to what thresholds are judged by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..cascade.score import Score
from ..evaluation.logits import StudentLogits
from .evidence import Evidence, Floats, rounded
from .scope import Scopes

ABSTAINS = -2
"""In place of a label, where the last student finds a text out of scope, the TA as a rule: the
right answer of no text."""


def gather(
    answers: StudentLogits,
    reference: Tensor,
    temperatures: Mapping[str, float],
    score: Score,
    cost: Floats,
    margin: float,
    kept: Tensor | None = None,
    scopes: Scopes | None = None,
    net: bool = False,
) -> Evidence:
    """Score, loss and cost of every student on every text.

    reference: (texts,) int64, the true classes; or the TA's answers, where it counts as always
    right. cost: (students, texts). kept: (texts,) int64, the answers of the TA that the loss is
    against, by default those predicted. scopes: what is out of a student's is not answered there,
    unless it is the last; what is answered without a label then has `ABSTAINS`. net: whether what
    recovers counts, as −1.
    """
    names = [student.name for student in answers.students]
    labels = torch.stack([answers.labels(name) for name in names])
    kept_right = (labels[-1] if kept is None else kept) == reference
    scores = np.stack([answers.scores(n, temperatures[n], score).numpy() for n in names])
    if scopes is not None:
        scores = np.where(scopes.inside, scores, 0.0)
        labels.masked_fill_(torch.from_numpy(scopes.unlabelled), ABSTAINS)
    right = labels == reference
    loss = (~right & kept_right).to(torch.int8)
    if net:
        loss -= (right & ~kept_right).to(torch.int8)
    return Evidence(rounded(scores), loss.numpy(), cost, margin)
