"""What the students of a cascade and the TA answered to one served text.

The text itself is there only where the server was told to keep it.

A file of records has one JSON object per line. Records of other weights, temperatures or precision
say nothing of the cascade that is there now, and are told apart; its thresholds do not matter,
because every stage was asked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ..cascade.decisions import Step
from ..cascade.policy import Cascade
from ..cascade.score import Score
from ..errors import DataError
from ..precision import Precision

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
SAME_TEMPERATURE = 1e-6
"""Between two temperatures that are one."""
LARGEST = 2**31 - 1
"""Of a whole number: it fits into every array."""
Answer = Annotated[int, Field(ge=0, lt=2**62)]
"""Of a head: an index, or a bit for each label."""


@dataclass(frozen=True)
class AskedStudent:
    """One stage. label: its answer, as the head's task numbers them. confidence: at this
    temperature. margin, entropy, energy: the scores of these names, where thresholds are of them;
    the energy for a scope, too.
    """

    __pydantic_config__: ClassVar = STRICT
    student: str
    temperature: Annotated[float, Field(gt=0)]
    label: Answer
    confidence: Annotated[float, Field(ge=0, le=1)]
    margin: Annotated[float, Field(ge=0, le=1)] | None = None
    entropy: Annotated[float, Field(ge=0, le=1)] | None = None
    energy: Annotated[float, Field(ge=0, le=1)] | None = None

    @classmethod
    def of(cls, step: Step) -> AskedStudent:
        """What a student said."""
        stage = step.stage
        student, by = stage.student, stage.score
        scores = {"energy": step.energy} if stage.scope > 0 else {}
        scores |= {by.value: step.score} if by is not Score.PROBABILITY else {}
        return cls(student.name, student.temperature, step.label, step.confidence, **scores)

    def score(self, score: Score) -> float | None:
        """The score of that name; None if it was not recorded."""
        if score is Score.PROBABILITY:
            return self.confidence
        found: float | None = getattr(self, score.value)
        return found

    def at(self, temperature: float) -> bool:
        """Whether it was asked at this temperature: rounding apart, in which machines differ."""
        return abs(self.temperature - temperature) <= SAME_TEMPERATURE


@dataclass(frozen=True)
class ShadowRecord:
    """time: ISO 8601, UTC. version: of the cascade that served, its thresholds included.

    precision: in which the students ran. tokens: how many. stages: all of the cascade, in its
    order, and the TA. served: the student whose answer the client got. ta: the TA's answer.
    text: as the client sent it; None where it is not kept, or came as tokens. text_pair: the second
    one of a pair.
    Raises ValueError where served is no stage.
    """

    __pydantic_config__: ClassVar = STRICT
    time: str
    weights_sha256: str
    cascade: str
    version: str
    precision: Precision
    tokens: Annotated[int, Field(ge=1, le=LARGEST)]
    stages: tuple[AskedStudent, ...]
    served: str
    ta: Answer
    text: str | None = None
    text_pair: str | None = None

    def __post_init__(self) -> None:
        if self.served not in {stage.student for stage in self.stages}:
            raise ValueError(f"served: {self.served!r} is no stage of the record")

    def to_json(self) -> bytes:
        """One line, with its end. What is None is left out, as in records from before it was."""
        stages = [
            {field: value for field, value in vars(stage).items() if value is not None}
            for stage in self.stages
        ]
        own = {field: value for field, value in vars(self).items() if value is not None}
        return orjson.dumps({**own, "stages": stages}) + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> ShadowRecord:
        """Raises ValueError that names the first field at fault of what is no record."""
        try:
            return _reader().validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            message = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{field}: {message}" if field else message) from None

    def of(self, cascade: Cascade) -> tuple[AskedStudent, ...] | None:
        """What each stage of a cascade answered; None if one was not asked at its temperature."""
        asked = {stage.student: stage for stage in self.stages}
        found = [asked.get(stage.student.name) for stage in cascade.stages]
        answers = tuple(
            each
            for each, stage in zip(found, cascade.stages, strict=True)
            if each is not None and each.at(stage.student.temperature)
        )
        return answers if len(answers) == len(cascade.stages) else None


@dataclass(frozen=True)
class Damaged:
    """A line that is no record. number: from 1."""

    file: Path
    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: line {self.number}: {self.reason}"


@dataclass(frozen=True)
class ShadowRecords:
    """usable: by cascade, in the order of the file. refused: how many others, by why."""

    usable: dict[str, list[ShadowRecord]]
    refused: Counter[str]


def previous(path: Path) -> Path:
    """Where a file of records goes when it is full."""
    return path.with_name(f"{path.name}.1")


def read_records(
    path: Path, weights_sha256: str, cascades: Sequence[Cascade], precision: Precision
) -> ShadowRecords:
    """A file of records and the one before it, as far as they say something of these cascades.

    precision: in which their students ran.
    Raises DataError without such a file.
    """
    by_name = {cascade.name: cascade for cascade in cascades}
    usable: dict[str, list[ShadowRecord]] = {}
    refused: Counter[str] = Counter()
    for record in read_lines(path):
        if isinstance(record, Damaged):
            refused["damaged"] += 1
        elif record.weights_sha256 != weights_sha256:
            refused["of other weights"] += 1
        elif record.precision != precision:
            refused[f"computed in {record.precision}"] += 1
        elif (cascade := by_name.get(record.cascade)) is None:
            refused["of other cascades"] += 1
        elif (asked := record.of(cascade)) is None:
            refused["at other temperatures"] += 1
        elif not _has_scores(asked, cascade):
            refused["without the score of its thresholds"] += 1
        else:
            usable.setdefault(cascade.name, []).append(record)
    return ShadowRecords(usable, refused)


def recorded_in(path: Path, weights_sha256: str) -> Precision | None:
    """The precision of all records of these weights; None where they have several, or there are
    none.
    """
    if not path.is_file():  # which is said by who reads it
        return None
    found = {
        record.precision
        for record in read_lines(path)
        if isinstance(record, ShadowRecord) and record.weights_sha256 == weights_sha256
    }
    return found.pop() if len(found) == 1 else None


def digest(records: Sequence[ShadowRecord]) -> str:
    """Sha256 that identifies these records."""
    return hashlib.sha256(b"".join(record.to_json() for record in records)).hexdigest()


def read_lines(path: Path) -> Iterator[ShadowRecord | Damaged]:
    """A file of records and the one before it, from the oldest line on.

    Raises DataError without such a file, and for a folder.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; records are one file")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    for file in (previous(path), path):
        if not file.exists():
            continue
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield ShadowRecord.from_json(line)
                except ValueError as error:
                    yield Damaged(file, number, str(error))


def _has_scores(asked: Sequence[AskedStudent], cascade: Cascade) -> bool:
    return all(
        each.score(stage.score) is not None and (stage.scope <= 0 or each.energy is not None)
        for each, stage in zip(asked, cascade.stages, strict=True)
    )


@cache
def _reader() -> TypeAdapter[ShadowRecord]:
    return TypeAdapter(ShadowRecord)
