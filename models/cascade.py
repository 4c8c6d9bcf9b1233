"""Students by name, and the order in which a request asks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .architecture import Architecture
from .spec import Flops, StudentSpec


@dataclass(frozen=True)
class Student:
    """A named student of one TA.

    temperature: by which its logits are divided before the softmax; 1 until calibrated.
    """

    name: str
    spec: StudentSpec
    flops: Flops
    parameters: int
    temperature: float = 1.0

    @classmethod
    def of(
        cls, name: str, spec: StudentSpec, architecture: Architecture, temperature: float = 1.0
    ) -> Student:
        """Validate the spec against its TA. Raises ValueError that names the student."""
        try:
            spec.validate(architecture)
        except ValueError as error:
            raise ValueError(f"student {name!r}: {error}") from None
        parameters = spec.parameters(architecture)
        return cls(name, spec, spec.flops(architecture), parameters, temperature)


@dataclass(frozen=True)
class Stage:
    """One student of a cascade. Its answer is accepted from this confidence on; 0 is always."""

    student: Student
    threshold: float


@dataclass(frozen=True)
class Guarantee:
    """What a cascade's thresholds promise, and what the promise rests on.

    With probability `confidence` over the calibration data, the risk named by `loss` is at most
    `alpha` on new data of the same distribution.
    """

    method: str
    loss: str
    alpha: float
    confidence: float
    examples: int
    observed_risk: float
    data_sha256: str
    weights_sha256: str


@dataclass(frozen=True)
class Cascade:
    """Stages from cheap to dear; the last one always answers. One student alone is one stage."""

    name: str
    stages: tuple[Stage, ...]
    guarantee: Guarantee | None = None

    @classmethod
    def alone(cls, student: Student) -> Cascade:
        """The policy that asks one student and takes its answer."""
        return cls(student.name, (Stage(student, 0.0),))

    def to_json(self) -> dict[str, Any]:
        return {
            "stages": [
                {"student": stage.student.name, "threshold": stage.threshold}
                for stage in self.stages
            ],
            "guarantee": asdict(self.guarantee) if self.guarantee else None,
        }

    @classmethod
    def from_json(cls, name: str, data: dict[str, Any], students: Mapping[str, Student]) -> Cascade:
        """Raises ValueError for an unknown student or a last stage that might not answer."""
        stages = []
        for stage in data["stages"]:
            if stage["student"] not in students:
                raise ValueError(
                    f"cascade {name!r}: student {stage['student']!r} is none of "
                    + ", ".join(students)
                )
            stages.append(Stage(students[stage["student"]], float(stage["threshold"])))
        if not stages or stages[-1].threshold > 0:
            raise ValueError(f"cascade {name!r}: the last stage must accept always (threshold 0)")
        guarantee = Guarantee(**data["guarantee"]) if data["guarantee"] else None
        return cls(name, tuple(stages), guarantee)
