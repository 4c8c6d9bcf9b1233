"""Seconds of any student in a batch, by what a few students took on the same machine.

A batch takes the sum of what its kinds of work (`BatchWork`) take, each at a speed of its own. The
speeds are those of least relative error, none below 0 (Lawson and Hanson 1974), and reweighted so
that a few disturbed measurements leave them cold (Holland and Welsch 1977).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..errors import NestlingError
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from .work import BatchWork

FULL_BATCH = 32
"""Texts of a batch of a busy server."""
ROUNDS = 10
"""Of reweighting."""
LEAST_ERROR = 0.01
"""Below which an error weighs as much as this one."""
FEWEST_STUDENTS = 4
"""Whose times tell the kinds of work apart."""


@dataclass(frozen=True)
class TimedBatch:
    """What a student took for a batch of `texts` texts of `tokens` tokens each, in seconds."""

    student: StudentSpec
    texts: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class LatencyModel:
    """Of one machine, runner and TA. speeds: seconds of a unit of each kind of work."""

    architecture: Architecture
    speeds: BatchWork

    @classmethod
    def fitted(cls, architecture: Architecture, timed: Sequence[TimedBatch]) -> LatencyModel:
        """By what students of a TA took. Raises NestlingError for too few of them."""
        from scipy.optimize import nnls  # heavy

        students = {each.student for each in timed}
        if len(students) < FEWEST_STUDENTS:
            raise NestlingError(
                f"{len(students)} students were timed; it takes {FEWEST_STUDENTS} to tell what "
                "others would take"
            )
        work = [BatchWork.of(t.student, architecture, t.texts, t.tokens) for t in timed]
        relative = np.array(work) / np.array([t.seconds for t in timed])[:, None]
        units = relative.max(axis=0)
        units[units == 0] = 1.0
        weights = np.ones(len(timed))
        for _ in range(ROUNDS):
            found, _ = nnls(relative / units * weights[:, None], weights)
            errors = np.abs(relative / units @ found - 1)
            weights = 1 / np.sqrt(np.maximum(errors, LEAST_ERROR))
        return cls(architecture, BatchWork(*(found / units).tolist()))

    def seconds(self, spec: StudentSpec, texts: int, tokens: int) -> float:
        """Of a batch of `texts` texts of `tokens` tokens each."""
        work = BatchWork.of(spec, self.architecture, texts, tokens)
        return sum(speed * amount for speed, amount in zip(self.speeds, work, strict=True))

    def per_text(self, spec: StudentSpec, lengths: Sequence[int]) -> list[float]:
        """Of each text, in a full batch of texts that are as long."""

        @cache
        def of(tokens: int) -> float:
            return self.seconds(spec, FULL_BATCH, tokens) / FULL_BATCH

        return [of(tokens) for tokens in lengths]
