"""A device that nobody has measured: what its data sheet allows, and a guess at how much of it.

A roofline (Williams, Waterman, Patterson 2009): a batch takes the longer of its arithmetic and of
reading its weights, and each operation takes a launch. How far real kernels stay below the data
sheet is a guess, so there are several: the plan is a range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict

from ...models.cascade import Student
from ...models.manifest import Manifest
from .costs import Costs, StudentCost
from .profile import Profile

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
TYPICAL = 8
"""Tokens at which the cost of attention, which grows with their square, is taken as linear."""


@dataclass(frozen=True)
class Guess:
    """utilisation: of the device's arithmetic and bandwidth, 0 to 1. launch: seconds for each
    operation.
    """

    __pydantic_config__: ClassVar = STRICT
    name: str
    utilisation: float
    launch: float


@dataclass(frozen=True)
class Estimate:
    """flops, bytes: per second, by the data sheet. number_bytes: of one weight.

    operations_per_layer, operations_per_batch: launches. guesses: from the worst to the best. host:
    the measured profile whose times outside of the worker, and whose texts, are taken over.
    """

    __pydantic_config__: ClassVar = STRICT
    schema: Literal[1]
    measured: Literal[False]
    name: str
    source: str
    device: str
    flops: float
    bytes: float
    number_bytes: int
    operations_per_layer: int
    operations_per_batch: int
    guesses: tuple[Guess, ...]
    host: str

    def costs(self, guess: Guess, manifest: Manifest, host: Profile) -> Costs:
        """Those of the host, with the students' parts of a batch as this device would have them.

        What a batch costs the worker beside its students is the host's, taken as what its smallest
        student costs without arithmetic.
        """
        beside = host.costs.worker.students[next(iter(manifest.students))].fixed
        students = {
            name: self._student(guess, student, beside, host)
            for name, student in manifest.students.items()
        }
        return replace(
            host.costs, worker=replace(host.costs.worker, students=students, padded=False)
        )

    def _student(self, guess: Guess, student: Student, beside: float, host: Profile) -> StudentCost:
        launches = self.operations_per_layer * len(student.spec.layers)
        reading = student.parameters * self.number_bytes / (self.bytes * guess.utilisation)
        flops, speed = student.flops, self.flops * guess.utilisation
        fixed = beside + (launches + self.operations_per_batch) * guess.launch + reading
        token = (flops.token + TYPICAL * flops.pair) / speed
        noise = host.costs.worker.students[student.name].noise
        return StudentCost(fixed, flops.sequence / speed, token, noise)
