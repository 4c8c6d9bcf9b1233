"""What the students of a cascade and the TA answered to one served text, without the text.

A file of records has one JSON object per line. Records of other weights, temperatures or precision
say nothing of the cascade that is there now, and are told apart; its thresholds do not matter,
because every stage was asked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from ..cascade import Cascade
from ..errors import DataError


@dataclass(frozen=True)
class Asked:
    """One stage. label: index of its answer. confidence: at this temperature."""

    student: str
    temperature: float
    label: int
    confidence: float


@dataclass(frozen=True)
class Record:
    """time: ISO 8601, UTC. version: of the cascade that served, its thresholds included.

    precision: in which the students ran: `float32`, `bfloat16`, `float16`, `int8`. tokens: how
    many. stages: all of the cascade. ta: index of the TA's label.
    """

    time: str
    weights_sha256: str
    cascade: str
    version: str
    precision: str
    tokens: int
    stages: tuple[Asked, ...]
    ta: int

    def to_json(self) -> bytes:
        """One line, with its end."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> Record:
        """Raises ValueError, KeyError or TypeError for what is no record."""
        data: dict[str, Any] = orjson.loads(line)
        stages = tuple(Asked(**stage) for stage in data.pop("stages"))
        return cls(stages=stages, **data)

    def of(self, cascade: Cascade) -> tuple[Asked, ...] | None:
        """What each stage of a cascade answered; None if one was not asked at its temperature."""
        asked = {(stage.student, stage.temperature): stage for stage in self.stages}
        keys = [(stage.student.name, stage.student.temperature) for stage in cascade.stages]
        return tuple(asked[key] for key in keys) if asked.keys() >= set(keys) else None


@dataclass(frozen=True)
class Records:
    """usable: by cascade, in the order of the file. refused: how many others, by why."""

    usable: dict[str, list[Record]]
    refused: Counter[str]


def previous(path: Path) -> Path:
    """Where a file of records goes when it is full."""
    return path.with_name(f"{path.name}.1")


def read_records(
    path: Path, weights_sha256: str, cascades: Sequence[Cascade], precisions: Container[str]
) -> Records:
    """A file of records and the one before it, as far as they say something of these cascades.

    Raises DataError without such a file.
    """
    by_name = {cascade.name: cascade for cascade in cascades}
    usable: dict[str, list[Record]] = {}
    refused: Counter[str] = Counter()
    for record in _read(path):
        if record is None:
            refused["damaged"] += 1
        elif record.weights_sha256 != weights_sha256:
            refused["of other weights"] += 1
        elif record.precision not in precisions:
            refused[f"computed in {record.precision}"] += 1
        elif (cascade := by_name.get(record.cascade)) is None:
            refused["of other cascades"] += 1
        elif record.of(cascade) is None:
            refused["at other temperatures"] += 1
        else:
            usable.setdefault(cascade.name, []).append(record)
    return Records(usable, refused)


def digest(records: Sequence[Record]) -> str:
    """Sha256 that identifies these records."""
    return hashlib.sha256(b"".join(record.to_json() for record in records)).hexdigest()


def _read(path: Path) -> Iterator[Record | None]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    for file in (previous(path), path):
        if not file.is_file():
            continue
        with file.open("rb") as lines:
            for line in lines:
                try:
                    yield Record.from_json(line)
                except (ValueError, KeyError, TypeError, AttributeError):
                    yield None
