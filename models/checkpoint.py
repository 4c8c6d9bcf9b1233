"""The checkpoint: one directory, safetensors only, every file hashed, written whole or not at all.

    config.json        architecture, named students, provenance; the other files' sha256 and its own
    model.safetensors  the TA's weights, once
    tokenizer.json
    calibration.json   temperatures and cascades (optional; written by `nestling calibrate`)
    report.json        what `nestling evaluate` measured (optional)

The three files that training writes appear together, by one rename of a directory. The two that
come later are each replaced by one rename of a file, and carry their own hash.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..kernels import operations_for
from .architecture import Architecture
from .cascade import Cascade, Student
from .errors import CheckpointError, NestlingError
from .integrity import (
    SCHEMA,
    flush,
    read_hashed_json,
    refuse_pickles,
    sha256_of,
    verify,
    write_hashed_json,
    write_weights,
)
from .spec import StudentSpec
from .tokenizer import TextTokenizer
from .transformer import NestedTransformer

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
CALIBRATION, REPORT = "calibration.json", "report.json"
TA = "ta"
"""The name under which the whole TA is served."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    students: by name, cheapest first; the last is the TA. cascades: by name, calibrated.
    default: the name of the cascade that answers `auto`; the TA's where none is calibrated.
    weights_sha256: identifies the weights; thresholds are tied to it.
    """

    path: Path
    architecture: Architecture
    model: NestedTransformer
    tokenizer: TextTokenizer
    students: dict[str, Student]
    cascades: dict[str, Cascade]
    default: str
    weights_sha256: str
    provenance: dict[str, Any]

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


def load_checkpoint(
    path: str | Path, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Checkpoint:
    """Load and verify a checkpoint directory.

    Raises CheckpointError that names the file which is missing, altered, unsafe or of another
    version.
    """
    path = Path(path)
    config = _read_config(path)
    refuse_pickles(path)
    for name, expected in config["files"].items():
        verify(path / name, expected)
    architecture = _parse(path / CONFIG, lambda: Architecture.from_json(config["architecture"]))
    calibration = _read_calibration(path, config["files"][WEIGHTS])
    students = _parse(path / CONFIG, lambda: _students(config, architecture, calibration))
    cascades = _parse(
        path / CALIBRATION,
        lambda: {
            name: Cascade.from_json(name, data, students)
            for name, data in calibration["cascades"].items()
        },
    )
    model = _load_model(path / WEIGHTS, architecture, dtype, device)
    tokenizer = _parse(path / TOKENIZER, lambda: TextTokenizer(path / TOKENIZER))
    return Checkpoint(
        path,
        architecture,
        model,
        tokenizer,
        students,
        cascades,
        calibration["default"],
        config["files"][WEIGHTS],
        config["provenance"],
    )


def write_checkpoint(
    path: str | Path,
    architecture: Architecture,
    students: Mapping[str, StudentSpec],
    weights: Mapping[str, Tensor],
    tokenizer: Path,
    provenance: Mapping[str, Any],
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write a new checkpoint under a temporary name, then rename it.

    students: without the TA, which every checkpoint has. tokenizer: a tokenizer.json to copy.
    Raises NestlingError if `path` exists: a checkpoint is never written over.
    """
    path = Path(path)
    if path.exists():
        raise NestlingError(f"{path}: exists already; a checkpoint is never written over")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.mkdir()
    try:
        tensors = {name: tensor.detach().to("cpu", dtype) for name, tensor in weights.items()}
        write_weights(tensors, temporary / WEIGHTS)
        shutil.copyfile(tokenizer, temporary / TOKENIZER)
        config = {
            "schema": SCHEMA,
            "task": "text-classification",
            "architecture": architecture.to_json(),
            "students": {name: spec.to_json() for name, spec in students.items()},
            "provenance": dict(provenance),
            "files": {name: sha256_of(temporary / name) for name in (WEIGHTS, TOKENIZER)},
        }
        write_hashed_json(temporary / CONFIG, config)
        for file in (WEIGHTS, TOKENIZER):
            flush(temporary / file)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    flush(path.parent)


def write_calibration(
    checkpoint: Checkpoint,
    temperatures: Mapping[str, float],
    cascades: Mapping[str, Cascade],
    default: str,
) -> None:
    """Replace the calibration of a checkpoint in one step."""
    write_hashed_json(
        checkpoint.path / CALIBRATION,
        {
            "schema": SCHEMA,
            "weights_sha256": checkpoint.weights_sha256,
            "temperatures": dict(temperatures),
            "cascades": {name: cascade.to_json() for name, cascade in cascades.items()},
            "default": default,
        },
    )


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise CheckpointError(path, "no such directory")
    config = read_hashed_json(path / CONFIG)
    for field in ("architecture", "students", "files", "provenance"):
        if field not in config:
            raise CheckpointError(path / CONFIG, f"{field}: missing")
    return config


def _read_calibration(path: Path, weights_sha256: str) -> dict[str, Any]:
    if not (path / CALIBRATION).exists():
        return {"temperatures": {}, "cascades": {}, "default": TA}
    calibration = read_hashed_json(path / CALIBRATION)
    if calibration["weights_sha256"] != weights_sha256:
        raise CheckpointError(
            path / CALIBRATION, "calibrated on other weights; run `nestling calibrate` again"
        )
    return calibration


def _students(
    config: Mapping[str, Any], architecture: Architecture, calibration: Mapping[str, Any]
) -> dict[str, Student]:
    specs = {name: StudentSpec.from_json(data) for name, data in config["students"].items()}
    specs[TA] = StudentSpec.full(architecture)
    temperatures = calibration["temperatures"]
    students = [
        Student.of(name, spec, architecture, temperatures.get(name, 1.0))
        for name, spec in specs.items()
    ]
    return {student.name: student for student in sorted(students, key=lambda s: s.flops.of(16))}


def _parse(file: Path, read: Any) -> Any:
    try:
        return read()
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(file, str(error)) from error


def _load_model(
    path: Path, architecture: Architecture, dtype: torch.dtype, device: str
) -> NestedTransformer:
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(path, f"not safetensors ({error})") from error
    operations = operations_for(torch.device(device))
    with torch.device("meta"):
        model = NestedTransformer(architecture, operations)
    expected = {name: tuple(p.shape) for name, p in model.named_parameters()}
    for name, shape in expected.items():
        if name not in weights:
            raise CheckpointError(path, f"{name}: missing")
        if tuple(weights[name].shape) != shape:
            raise CheckpointError(
                path,
                f"{name}: shape {list(weights[name].shape)}, but {CONFIG} "
                f"({len(architecture.labels)} labels) asks for {list(shape)}",
            )
    if unknown := sorted(weights.keys() - expected.keys()):
        raise CheckpointError(path, f"{unknown[0]}: no such weight in this architecture")
    state = {name: weights[name].to(device, dtype) for name in expected}
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()
