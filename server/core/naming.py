"""What answers are called. A lookup in a tuple is all that one label of a text costs."""

from __future__ import annotations

from collections.abc import Callable

from ...models.heads import task_of
from ...models.heads.task import Shown
from ...models.nested.head_spec import HeadSpec


def shown_by(head: HeadSpec) -> Callable[[int], Shown]:
    """From a head's answer to its label, or to the list of its labels where several may hold."""
    return head.labels.__getitem__ if head.task == "single_label" else task_of(head).shown


def written_by(head: HeadSpec) -> Callable[[int], str]:
    """From a head's answer to one text: its label, or the list of its labels in JSON, sorted."""
    return head.labels.__getitem__ if head.task == "single_label" else task_of(head).written
