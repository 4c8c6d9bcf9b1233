"""A device that was not measured: what its data sheet allows, and a guess at how much of that.

A batch takes a launch for each operation, which serves all its students, the reading of its weights
and its arithmetic, one after the other: at most twice a roofline (Williams, Waterman, Patterson
2009), where these two overlap. How far real kernels stay below the data sheet is a guess, so there
are several, and the plan is a range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from ...models.cascade.policy import Student
from ...models.checkpoint.manifest import Manifest
from .costs import Costs, StudentCost
from .profile import STRICT, Profile

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

    def costs(self, guess: Guess, manifest: Manifest, host: Profile, sharing: int = 1) -> Costs:
        """The costs of the host, but for the students' parts of a batch, which are this device's.

        What a batch costs the worker beside its students' arithmetic is taken from the host: at
        most the fixed cost of its smallest student. sharing: replicas that share the device in
        equal parts.
        """
        beside = host.costs.worker.students[next(iter(manifest.students))].fixed
        students = {}
        for name, student in manifest.students.items():
            fixed, text, token = (sharing * each for each in self._student(guess, student))
            cold = host.costs.worker.students[name].cold
            students[name] = StudentCost(beside + fixed, text, token, cold)
        worker = replace(host.costs.worker, students=students, padded=False, grouped=True)
        return replace(host.costs, worker=worker)

    def _student(self, guess: Guess, student: Student) -> tuple[float, float, float]:
        """Seconds of the device for a batch, for each text and for each token."""
        launches = self.operations_per_layer * len(student.spec.layers) + self.operations_per_batch
        reading = student.parameters * self.number_bytes / (self.bytes * guess.utilisation)
        flops, speed = student.flops, self.flops * guess.utilisation
        token = (flops.token + TYPICAL * flops.pair) / speed
        return launches * guess.launch + reading, flops.sequence / speed, token
