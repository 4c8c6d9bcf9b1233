"""Students by name, and the order in which a request asks them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from ..limits import check_name, number_between
from ..nested.architecture import Architecture
from ..nested.spec import Flops, StudentSpec
from ..precision import PRECISIONS, Precision
from .group import GroupEvidence
from .path import NEVER, CascadePath, PathVector
from .scope import ScopePromise
from .score import Score

TEMPERATURES = (0.01, 100.0)
"""From the least that may be to the greatest. Calibration finds none below 0.05 or above 20."""


class FlopsByLength(dict[int, float]):
    """FLOPs of one sequence by its number of tokens; each is worked out once."""

    def __init__(self, flops: Flops) -> None:
        self._flops = flops

    def __missing__(self, tokens: int) -> float:
        found = self[tokens] = self._flops.of(tokens)
        return found


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

    @cached_property
    def flops_by_length(self) -> FlopsByLength:
        """What `flops` says, for those who ask for the same lengths again and again."""
        return FlopsByLength(self.flops)

    @classmethod
    def of(
        cls, name: str, spec: StudentSpec, architecture: Architecture, temperature: float = 1.0
    ) -> Student:
        """Validate name and spec, this against its TA. Raises ValueError that names the student."""
        check_name(name, "student")
        try:
            spec.validate(architecture)
        except ValueError as error:
            raise ValueError(f"student {name!r}: {error}") from None
        parameters = spec.parameters(architecture)
        return cls(name, spec, spec.flops(architecture), parameters, temperature)


@dataclass(frozen=True)
class Stage:
    """One student of a cascade. Its answer is accepted from this score on; 0 is always.

    The student carries the temperature with which the threshold was found, so that calibrating
    again never changes what another cascade's thresholds mean. score: what the threshold is of.
    scope: the energy below which a text is out of scope here, and never accepted; 0 is none.
    """

    student: Student
    threshold: float
    score: Score = Score.PROBABILITY
    scope: float = 0.0


@dataclass(frozen=True)
class Guarantee:
    """What a cascade's thresholds guarantee, and on which data the guarantee rests.

    With probability `confidence` over the calibration data, the risk named by `loss` is at most
    `alpha` on new data of the same distribution. examples: texts that tested it.
    ordering_examples: texts that fixed what was tested, and in which order. held_out_examples:
    those held out of training that did so beside them. source: `texts` of a file, or the `shadow`
    of served traffic; then since and until say of which time, in ISO 8601.
    reference: the precision of the TA whose answers are to be kept; None in calibrations of before
    this was recorded, where it is the cascade's own. by: the column whose every value is promised
    the risk apart, and groups: of each of them what the promise rests on; None and empty where the
    risk is that of all texts together.
    """

    method: str
    loss: str
    alpha: float
    confidence: float
    examples: int
    ordering_examples: int
    observed_risk: float
    data_sha256: str
    weights_sha256: str
    source: str = "texts"
    since: str | None = None
    until: str | None = None
    reference: Precision | None = None
    by: str | None = None
    groups: tuple[GroupEvidence, ...] = ()
    held_out_examples: int = 0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Guarantee:
        """Raises ValueError for groups that cannot be."""
        groups = data.get("groups", ())
        return cls(**data | {"groups": tuple(map(GroupEvidence.from_json, groups))})


@dataclass(frozen=True)
class Forecast:
    """What the calibration data say of a cascade's traffic; an estimate, without a guarantee.

    shares: of the texts that each stage answers. relative_flops, relative_seconds: of all stages
    together, against asking the TA alone; None where no hardware profile was given.
    profile_sha256: of that, by whose seconds stages and thresholds were chosen; by FLOPs else.
    """

    shares: tuple[float, ...]
    relative_flops: float
    relative_seconds: float | None = None
    profile_sha256: str | None = None


@dataclass(frozen=True)
class Cascade:
    """Stages from cheap to expensive; the last one always answers. A student alone is one stage.

    path: safer and cheaper thresholds, as it was calibrated; None if it was not, or before paths
    were kept. scope: what is promised of the stages' scopes; None where they have none.
    """

    name: str
    stages: tuple[Stage, ...]
    guarantee: Guarantee | None = None
    forecast: Forecast | None = None
    path: CascadePath | None = None
    scope: ScopePromise | None = None

    @property
    def policy(self) -> str:
        """Its name, without the thresholds that `at` adds to it."""
        return self.name.partition("[")[0]

    @property
    def abstains(self) -> bool:
        """Whether a text that the last student finds out of scope is answered without a label."""
        return self.stages[-1].scope > 0

    @classmethod
    def alone(cls, student: Student) -> Cascade:
        """The policy that asks one student and takes its answer."""
        return cls(student.name, (Stage(student, 0.0),))

    def at(self, thresholds: Sequence[float]) -> Cascade:
        """With other thresholds, of confidence, one per stage but the last; it has no promise then.
        Scopes stay as they are.

        Raises ValueError for another number of them.
        """
        stages = [
            replace(stage, threshold=threshold, score=Score.PROBABILITY)
            for stage, threshold in zip(self.stages[:-1], thresholds, strict=True)
        ]
        shown = ", ".join(format(threshold, "g") for threshold in thresholds)
        return Cascade(f"{self.name}[{shown}]", (*stages, self.stages[-1]))

    def along(self, step: PathVector) -> Cascade:
        """With the thresholds of a step of its path, without stages that never answer there. What
        it promises is for others to say.
        """
        stages = tuple(
            replace(stage, threshold=threshold)
            for stage, threshold in zip(self.stages, step.thresholds, strict=True)
            if threshold < NEVER
        )
        return Cascade(self.name, stages)

    def version(self, weights_sha256: str) -> str:
        """What changes with the weights, the temperatures, the thresholds and what these are of,
        and with nothing else.
        """
        stages = json.dumps(self.to_json()["stages"], separators=(",", ":"))
        return f"{weights_sha256[:12]}-{hashlib.sha256(stages.encode()).hexdigest()[:8]}"

    def to_json(self) -> dict[str, Any]:
        return {
            "stages": [_stage_json(stage) for stage in self.stages],
            "guarantee": asdict(self.guarantee) if self.guarantee else None,
            "forecast": asdict(self.forecast) if self.forecast else None,
            **({"path": self.path.to_json()} if self.path else {}),
            **({"scope": self.scope.to_json()} if self.scope else {}),
        }

    @classmethod
    def from_json(cls, name: str, data: dict[str, Any], students: Mapping[str, Student]) -> Cascade:
        """Raises ValueError for an unusable name, an unknown student, a number out of range, or a
        last stage that might not answer."""
        check_name(name, "cascade")
        stages = []
        for stage in data["stages"]:
            if stage["student"] not in students:
                raise ValueError(
                    f"cascade {name!r}: student {stage['student']!r} is none of "
                    + ", ".join(students)
                )
            known, where = students[stage["student"]], f"cascade {name!r}: {stage['student']}: "
            temperature = number_between(*TEMPERATURES, stage["temperature"], where + "temperature")
            threshold = number_between(0, 1, stage["threshold"], where + "threshold")
            score = _score(stage.get("score", Score.PROBABILITY), where)
            scope = number_between(0, 1, stage.get("scope", 0.0), where + "scope")
            student = replace(known, temperature=temperature)
            stages.append(Stage(student, threshold, score, scope))
        if not stages or stages[-1].threshold > 0:
            raise ValueError(f"cascade {name!r}: the last stage must accept always (threshold 0)")
        guarantee = _guarantee(data["guarantee"], name) if data["guarantee"] else None
        forecast = Forecast(**data["forecast"]) if data["forecast"] else None
        path = data.get("path")
        if path is not None:
            thresholds = [stage.threshold for stage in stages]
            path = CascadePath.from_json(path, thresholds, f"cascade {name!r}: ")
        promise = ScopePromise.from_json(data["scope"]) if data.get("scope") else None
        return cls(name, tuple(stages), guarantee, forecast, path, promise)


def _stage_json(stage: Stage) -> dict[str, Any]:
    """A probability is not named, nor a scope that is none: so cascades from before there was a
    choice keep their version."""
    said: dict[str, Any] = {
        "student": stage.student.name,
        "temperature": stage.student.temperature,
        "threshold": stage.threshold,
    }
    if stage.score is not Score.PROBABILITY:
        said["score"] = str(stage.score)
    if stage.scope > 0:
        said["scope"] = stage.scope
    return said


def _guarantee(data: dict[str, Any], cascade: str) -> Guarantee:
    try:
        found = Guarantee.from_json(data)
    except ValueError as error:
        raise ValueError(f"cascade {cascade!r}: {error}") from None
    for field in ("alpha", "confidence", "observed_risk"):
        # What recovers may outweigh what breaks.
        least = -1 if found.loss == "net" and field == "observed_risk" else 0
        number_between(least, 1, getattr(found, field), f"cascade {cascade!r}: {field}")
    if found.reference not in (None, *PRECISIONS):
        raise ValueError(
            f"cascade {cascade!r}: reference: {found.reference!r} is none of "
            + ", ".join(PRECISIONS)
        )
    return found


def _score(name: Any, where: str) -> Score:
    for score in Score:
        if name == score:
            return score
    raise ValueError(f"{where}score: {name!r} is none of {', '.join(Score)}")
