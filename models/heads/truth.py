"""What a file says of its texts, as a head's answers."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, NestlingError
from ..inputs.data import Labelled
from ..inputs.data.naming import listed
from ..nearest import did_you_mean
from ..nested.head_spec import HeadSpec
from . import task_of


def answers_in(data: Labelled, head: HeadSpec, path: str | Path) -> list[int]:
    """Each text's labels, as an answer of the head. Raises DataError that names the first unknown
    one.
    """
    if data.kind != head.task:
        raise NestlingError(f"{path}: is of {data.kind}, but head {head.name!r} is {head.task}")
    task, known = task_of(head), set(head.labels)
    for row, labels in enumerate(data.named, start=1):
        for label in labels:
            if label not in known:
                raise DataError(
                    f"{path}: row {row}: label {label!r} is none of the {len(known)} known labels, "
                    f"{listed(head.labels)}{did_you_mean(label, head.labels)}"
                )
    return list(map(task.code, data.named))
