"""What a head's answer is: one module per task, with all that is particular to it.

An answer is a whole number everywhere between the gate and whoever shows it: two are the same where
the numbers are. `task_of` gives what makes it of logits, and names of it; in training, what it is
taught by. To add a task, describe it in a module of its own and name it here and in
`models.nested.head_spec`.
"""

from __future__ import annotations

from functools import lru_cache

from ..nested.head_spec import HeadSpec
from .multi_label import MultiLabel
from .single_label import SingleLabel
from .task import AnswerTask

KINDS: dict[str, type[AnswerTask]] = {"single_label": SingleLabel, "multi_label": MultiLabel}


@lru_cache(maxsize=64)
def task_of(head: HeadSpec) -> AnswerTask:
    """What a head's answers are."""
    return KINDS[head.task](head)
