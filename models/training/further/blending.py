"""How far to go from the weights before to those after training.

On the line between weights before and after a fine-tuning there are often models that keep what the
first know and have most of what the others learnt (WiSE-FT, Wortsman et al. 2022, arXiv
2109.01903). Students are slices of the weights, so a blend of two TAs is a blend of all their
students.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ...checkpoint.manifest import TA
from .comparison import MOST_CHANGED, Comparison, Judgement

HALF = 0.5
"""Of the way: what the paper recommends where nothing says better."""
LESS = (0.25, 0.125)
"""What is tried where half of it harms."""


def blended(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 − share) · before + share · after, rounded to bfloat16 as a checkpoint is; float32."""
    return {
        name: torch.lerp(old.float().cpu(), after[name].float().cpu(), share).bfloat16().float()
        for name, old in before.items()
    }


def farthest(compared: Callable[[float, float], Sequence[Comparison]], by_labels: bool) -> float:
    """How far the held-out texts let the weights go: half of the way; all of it where that is
    better beyond noise; less where half of it harms, and the least where all harm.

    compared: the blends of a share and of another on those. What judges must not be among them.
    by_labels: as in `Judgement`; the judges then say whether the TA became worse.
    """
    whole = [1.0] if Judgement(compared(1.0, HALF), TA, by_labels).worse else []
    tried = (*whole, HALF, *LESS)
    return next((share for share in tried if not _harms(compared(0.0, share), by_labels)), LESS[-1])


def _harms(compared: Sequence[Comparison], by_labels: bool) -> bool:
    """Whether the TA, or all students together, have fewer right than before; one student alone
    loses a text or two by chance too often. By its own word the TA cannot say that, so it may
    change at most `MOST_CHANGED` of those answers, unless labels judge it later.
    """
    students = [each for each in compared if each.student != TA]
    labelled = [each for each in compared if each.student == TA and not each.by_the_ta]
    own = [each for each in compared if each.student == TA and each.by_the_ta]
    too_much = MOST_CHANGED * sum(each.texts for each in own)
    ta_changed = not by_labels and -_gained(own) > too_much
    return ta_changed or _gained(labelled) < 0 or _gained(students) < 0


def _gained(compared: Iterable[Comparison]) -> int:
    return sum(each.won - each.lost for each in compared)
