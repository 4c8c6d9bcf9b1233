"""What a checkpoint says of itself: everything but the weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from ..cascade.policy import TEMPERATURES, Cascade, Student
from ..errors import CheckpointError, NestlingError
from ..inputs.tokenizer import TextTokenizer
from ..limits import number_between
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from ..precision import WEIGHT_LEVELS, Precision, file_of
from .integrity import read_hashed_json, refuse_pickles, verify
from .schema import SCHEMAS, upgraded

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
CALIBRATION, REPORT = "calibration.json", "report.json"
TRAINING_TEXTS, JUDGING_TEXTS = "training-texts.json", "judging-texts.json"
SEARCHES = "searches.json"
HELD_OUT = "held-out.safetensors"
TA = "ta"
"""The name under which the whole TA is served."""
NONE: Final[dict[str, Any]] = {"temperatures": {}, "cascades": {}, "default": TA}
"""A calibration that nobody has made."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manifest:
    """A verified checkpoint directory, but for the weights.

    students: by name, cheapest first; the last is the TA. cascades: by name, calibrated.
    default: the name of the cascade that answers `auto`; the TA's where none is calibrated.
    weights_sha256: identifies the weights; thresholds are tied to it. created: Unix time at which
    `config.json` was written.
    """

    path: Path
    architecture: Architecture
    tokenizer: TextTokenizer
    students: dict[str, Student]
    cascades: dict[str, Cascade]
    default: str
    weights_sha256: str
    provenance: dict[str, Any]
    created: int

    @property
    def ta(self) -> Student:
        """The whole TA."""
        return self.students[TA]

    def policy(self, name: str = "auto") -> Cascade:
        """`auto`, a cascade or a student by name. Raises NestlingError that lists the known."""
        if name == "auto":
            name = self.default
        if name in self.cascades:
            return self.cascades[name]
        if name in self.students:
            return Cascade.alone(self.students[name])
        known = ", ".join(["auto", *self.cascades, *self.students])
        raise NestlingError(f"model: {name!r} is none of {known}")


def read_manifest(path: str | Path) -> Manifest:
    """Read and verify a checkpoint directory, the weights' hash included.

    Raises CheckpointError that names the file which is missing, altered, unsafe or of another
    version.
    """
    path = Path(path)
    config = _read_config(path)
    refuse_pickles(path)
    for name, expected in config["files"].items():
        verify(path / name, expected)
    architecture = _architecture(path, config)
    calibration = _read_calibration(path / CALIBRATION, config["files"][WEIGHTS])
    students = parse(path / CONFIG, lambda: _students(config, architecture, calibration))
    cascades = parse(path / CALIBRATION, lambda: _cascades(calibration, students))
    tokenizer = parse(path / TOKENIZER, lambda: _tokenizer(path / TOKENIZER, architecture))
    return Manifest(
        path,
        architecture,
        tokenizer,
        students,
        cascades,
        calibration["default"],
        config["files"][WEIGHTS],
        config["provenance"],
        int((path / CONFIG).stat().st_mtime),
    )


def read_architecture(path: Path) -> Architecture:
    """What a checkpoint says of its size. No other file is read. Raises CheckpointError."""
    return _architecture(path, _read_config(path))


def _architecture(path: Path, config: Mapping[str, Any]) -> Architecture:
    trunk, heads = config["architecture"], config["heads"]
    read: Architecture = parse(path / CONFIG, lambda: Architecture.from_json(trunk, heads))
    return read


_Served = TypeVar("_Served", bound=Manifest)


def calibrated_for(served: _Served, precision: Precision) -> _Served:
    """The same, as it was read, with the temperatures and cascades of a precision.

    One without a calibration has no cascades: thresholds set on other logits promise nothing, and
    a calibration for int8 of weights that were rounded otherwise counts as none. Its temperatures
    are those of float32. Raises CheckpointError for a calibration that is damaged or of other
    weights.
    """
    if precision == "float32":  # which `read_manifest` reads
        return served
    path = served.path / file_of(CALIBRATION, precision)
    calibration = _read_calibration(path, served.weights_sha256)
    levels = calibration.get("weight_levels")
    if precision == "int8" and calibration is not NONE and levels != WEIGHT_LEVELS:
        log.warning(
            "%s: is not used: it was made with weights that were rounded otherwise; `nestling "
            "calibrate %s --data FILE --precision int8` makes it anew",
            path,
            served.path,
        )
        calibration = NONE
    temperatures = calibration["temperatures"]
    students = {
        name: replace(student, temperature=temperatures.get(name, student.temperature))
        for name, student in served.students.items()
    }
    cascades = parse(path, lambda: _cascades(calibration, students))
    return replace(served, students=students, cascades=cascades, default=calibration["default"])


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise CheckpointError(path, "no such directory")
    if not (path / CONFIG).exists():
        raise CheckpointError(path, f"is no Nestling checkpoint: it has no {CONFIG}")
    written = read_hashed_json(path / CONFIG, SCHEMAS)
    config: dict[str, Any] = parse(path / CONFIG, lambda: upgraded(written))
    for field in ("architecture", "heads", "students", "files", "provenance"):
        if field not in config:
            raise CheckpointError(path / CONFIG, f"{field}: missing")
    for name in config["files"]:
        if Path(name).name != name:
            raise CheckpointError(path / CONFIG, f"files: {name!r} is no file of this directory")
    return config


def _tokenizer(path: Path, architecture: Architecture) -> TextTokenizer:
    tokenizer = TextTokenizer(path, architecture.second_from)
    if tokenizer.largest_id >= architecture.vocabulary:
        raise ValueError(
            f"gives the id {tokenizer.largest_id}, but the model's vocabulary ends at "
            f"{architecture.vocabulary - 1}"
        )
    return tokenizer


def _read_calibration(path: Path, weights_sha256: str) -> dict[str, Any]:
    if not path.exists():
        return NONE
    calibration = read_hashed_json(path)
    for field in ("weights_sha256", "temperatures", "cascades", "default"):
        if field not in calibration:
            raise CheckpointError(path, f"{field}: missing")
    if calibration["weights_sha256"] != weights_sha256:
        raise CheckpointError(path, "calibrated on other weights; remove it and calibrate again")
    for name, value in calibration["temperatures"].items():
        parse(path, lambda n=name, v=value: number_between(*TEMPERATURES, v, f"temperatures.{n}"))
    return calibration


def _cascades(
    calibration: Mapping[str, Any], students: Mapping[str, Student]
) -> dict[str, Cascade]:
    cascades = {
        name: Cascade.from_json(name, data, students)
        for name, data in calibration["cascades"].items()
    }
    if calibration["default"] not in (*cascades, *students):
        known = ", ".join([*cascades, *students])
        raise ValueError(f"default: {calibration['default']!r} is none of {known}")
    return cascades


def _students(
    config: Mapping[str, Any], architecture: Architecture, calibration: Mapping[str, Any]
) -> dict[str, Student]:
    if TA in config["students"]:
        raise ValueError(f"students: {TA!r} is the whole model, which is no student's name")
    specs = {name: StudentSpec.from_json(data) for name, data in config["students"].items()}
    specs[TA] = StudentSpec.full(architecture)
    temperatures = calibration["temperatures"]
    students = [
        Student.of(name, spec, architecture, temperatures.get(name, 1.0))
        for name, spec in specs.items()
    ]
    return {student.name: student for student in sorted(students, key=lambda s: s.flops.of(16))}


def parse(file: Path, read: Any) -> Any:
    """What `read` makes of a file's content. Raises CheckpointError for what it cannot be."""
    try:
        return read()
    except KeyError as error:
        raise CheckpointError(file, f"{error.args[0]}: missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(file, str(error)) from error
