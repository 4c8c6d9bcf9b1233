"""The checkpoint: one directory, safetensors only, every file hashed, written whole or not at all.

    config.json        architecture, named students, provenance; the other files' sha256 and its own
    model.safetensors  the TA's weights, once
    tokenizer.json
    training-texts.json  a sample of the training texts, as fingerprints of 64 bits
    calibration.json   temperatures and cascades (optional; written by `nestling calibrate`)
    report.json        what `nestling evaluate --keep` measured (optional)

A runner whose logits are not those of float32 has its own calibration and report beside these, as
`calibration.onnx-int8.json` and `report.onnx-int8.json`.

The files that training writes appear together, by one rename of a directory. Those that
come later are each replaced by one rename of a file, and carry their own hash.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...kernels import operations_for
from ..cascade.policy import Cascade
from ..errors import CheckpointError, NestlingError, NotFiniteError
from ..inputs.data.fingerprints import TextSample
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from .finite import check_logits, in_dtype
from .integrity import SCHEMA, flush, sha256_of, write_hashed_json
from .manifest import (
    CALIBRATION,
    CONFIG,
    TOKENIZER,
    TRAINING_TEXTS,
    WEIGHTS,
    Manifest,
    file_of,
    read_manifest,
)


@dataclass(frozen=True)
class Checkpoint(Manifest):
    """A loaded checkpoint: its manifest, and the one model that all students share."""

    model: NestedTransformer


def load_checkpoint(
    path: str | Path, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Checkpoint:
    """Load and verify a checkpoint directory.

    Raises CheckpointError that names the file which is missing, altered, unsafe or of another
    version, the weight that is not finite, or the student whose answers are not.
    """
    manifest = read_manifest(path)
    model = _load_model(manifest.path / WEIGHTS, manifest.architecture, dtype, device)
    check_logits(manifest, model, dtype)
    parts = {field.name: getattr(manifest, field.name) for field in fields(manifest)}
    return Checkpoint(**parts, model=model)


def write_checkpoint(
    path: str | Path,
    architecture: Architecture,
    students: Mapping[str, StudentSpec],
    weights: Mapping[str, Tensor],
    tokenizer: Path,
    provenance: Mapping[str, Any],
    dtype: torch.dtype = torch.bfloat16,
    trained_on: TextSample | None = None,
) -> None:
    """Write a new checkpoint under a temporary name, then rename it.

    students: without the TA, which every checkpoint has. tokenizer: a tokenizer.json to copy.
    trained_on: a sample of the training texts, so that `nestling calibrate` knows them again.
    Raises NestlingError if `path` exists: a checkpoint is never written over. Raises
    NotFiniteError for weights that are not finite in `dtype`.
    """
    path = Path(path)
    if path.exists():
        raise NestlingError(f"{path}: exists already; a checkpoint is never written over")
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().to("cpu", dtype) for name, tensor in weights.items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise NotFiniteError(f"{path}: {name}: weights that are not finite")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.mkdir()
    try:
        write_weights(tensors, temporary / WEIGHTS)
        shutil.copyfile(tokenizer, temporary / TOKENIZER)
        files = [WEIGHTS, TOKENIZER]
        if trained_on:
            sample = {"schema": SCHEMA, **trained_on.to_json()}
            write_hashed_json(temporary / TRAINING_TEXTS, sample)
            files.append(TRAINING_TEXTS)
        config = {
            "schema": SCHEMA,
            "task": "text-classification",
            "architecture": architecture.to_json(),
            "students": {name: spec.to_json() for name, spec in students.items()},
            "provenance": dict(provenance),
            "files": {name: sha256_of(temporary / name) for name in files},
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
    runner: str | None = None,
) -> None:
    """Replace the calibration of a checkpoint, or that of a runner, in one step."""
    write_hashed_json(
        checkpoint.path / file_of(CALIBRATION, runner),
        {
            "schema": SCHEMA,
            "weights_sha256": checkpoint.weights_sha256,
            "temperatures": dict(temperatures),
            "cascades": {name: cascade.to_json() for name, cascade in cascades.items()},
            "default": default,
        },
    )


def write_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write safetensors that other users, a container's among them, can read."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={"format": "pt"})  # which `transformers` asks for
    path.chmod(0o644)  # the library keeps it from everyone else


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
    state = {name: in_dtype(weights[name], dtype, device, path, name) for name in expected}
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()
