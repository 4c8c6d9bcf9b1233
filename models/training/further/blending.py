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
from .comparison import MOST_CHANGED, Comparison

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Of the way, as they are tried."""


def blended(
    before: Mapping[str, Tensor], after: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 − share) · before + share · after, rounded to bfloat16 as a checkpoint is; float32."""
    return {
        name: torch.lerp(old.float().cpu(), after[name].float().cpu(), share).bfloat16().float()
        for name, old in before.items()
    }


def farthest(compared_at: Callable[[float], Sequence[Comparison]]) -> float:
    """The greatest share that harms nothing on the held-out texts; the least one where all do.

    compared_at: before and after on those, for the blend of a share. What judges must not be among
    them.
    """
    return next((s for s in SHARES if not _harms(compared_at(s))), SHARES[-1])


def _harms(compared: Sequence[Comparison]) -> bool:
    """Whether the TA, or all students together, have fewer right than before; one student alone
    loses a text or two by chance too often. Without a label the TA's own word cannot say that, so
    it may change at most `MOST_CHANGED` of its answers.
    """
    students = [each for each in compared if each.student != TA]
    ta = [each for each in compared if each.student == TA]
    if labelled := [each for each in ta if not each.by_the_ta]:
        ta_is_worse = _gained(labelled) < 0
    else:
        ta_is_worse = -_gained(ta) > MOST_CHANGED * sum(each.texts for each in ta)
    return ta_is_worse or _gained(students) < 0


def _gained(compared: Iterable[Comparison]) -> int:
    return sum(each.won - each.lost for each in compared)
