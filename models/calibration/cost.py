"""What an answer costs, by a stated model: the same on every machine.

FLOPs; or seconds by a hardware profile, which says how long a text takes each student in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..cascade.policy import Student
from .evidence import Floats

COST_DIGITS = 9
"""Of a cost against the TA's: more would tell in which order it was summed."""


class TextSeconds(NamedTuple):
    """Of one student: text + token · tokens."""

    text: float
    token: float


@dataclass(frozen=True)
class TimeModel:
    """seconds: by student's name. profile_sha256: of the file that says so."""

    seconds: Mapping[str, TextSeconds]
    profile_sha256: str


def flops_of(students: Sequence[Student], tokens: Sequence[int]) -> Floats:
    """(students, texts). tokens: how many each text has."""
    return np.array([[s.flops_by_length[n] for n in tokens] for s in students], np.float64)


def seconds_of(model: TimeModel, students: Sequence[Student], tokens: Sequence[int]) -> Floats:
    """(students, texts). tokens: how many each text has."""
    taken = [model.seconds[student.name] for student in students]
    return np.array([[each.text + each.token * n for n in tokens] for each in taken], np.float64)
