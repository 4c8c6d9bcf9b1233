"""Writing a checkpoint: whole or not at all.

The files that training writes appear together, by one rename of a directory. Those that
come later are each replaced by one rename of a file, and carry their own hash.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..cascade.policy import Cascade
from ..errors import NotFiniteError
from ..inputs.data.fingerprints import TextSample
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from ..precision import WEIGHT_LEVELS, Precision, file_of
from . import schema
from .held_out import HeldOutAnswers, write_held_out
from .integrity import SCHEMA, new_directory, sha256_of, write_hashed_json
from .manifest import (
    CALIBRATION,
    CONFIG,
    JUDGING_TEXTS,
    SEARCHES,
    TOKENIZER,
    TRAINING_TEXTS,
    WEIGHTS,
    Manifest,
)


def write_checkpoint(
    path: str | Path,
    architecture: Architecture,
    students: Mapping[str, StudentSpec],
    weights: Mapping[str, Tensor],
    tokenizer: Path,
    provenance: Mapping[str, Any],
    dtype: torch.dtype = torch.bfloat16,
    trained_on: TextSample | None = None,
    held_out: HeldOutAnswers | None = None,
    judged_by: TextSample | None = None,
    searches_of: Path | None = None,
) -> None:
    """Write a new checkpoint under a temporary name, then rename it.

    students: without the TA, which every checkpoint has. tokenizer: a tokenizer.json to copy.
    trained_on: a sample of the training texts, so that `nestling calibrate` knows them again.
    held_out: what the students answer on texts that were kept from training. judged_by: a sample of
    the texts that chose these weights or judged them, which are known again, too. searches_of: a
    checkpoint whose searches found some of the students, and are remembered.
    Raises NestlingError if `path` exists: a checkpoint is never written over. Raises
    NotFiniteError for weights that are not finite in `dtype`.
    """
    path = Path(path)
    tensors = {name: tensor.detach().to("cpu", dtype) for name, tensor in weights.items()}
    with new_directory(path, "a checkpoint") as temporary:
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise NotFiniteError(f"{path}: {name}: weights that are not finite")
        write_weights(tensors, temporary / WEIGHTS)
        shutil.copyfile(tokenizer, temporary / TOKENIZER)
        files = [WEIGHTS, TOKENIZER]
        for name, sample in ((TRAINING_TEXTS, trained_on), (JUDGING_TEXTS, judged_by)):
            if sample:
                write_hashed_json(temporary / name, {"schema": SCHEMA, **sample.to_json()})
                files.append(name)
        if searches_of and (searches_of / SEARCHES).exists():
            shutil.copyfile(searches_of / SEARCHES, temporary / SEARCHES)
        hashes = {name: sha256_of(temporary / name) for name in files}
        config = {
            "schema": schema.SCHEMA,
            "architecture": architecture.to_json(),
            "heads": architecture.heads_to_json(),
            "students": {name: spec.to_json() for name, spec in students.items()},
            "provenance": dict(provenance),
            "files": hashes,
        }
        if held_out:
            write_held_out(temporary, held_out, hashes[WEIGHTS])
        write_hashed_json(temporary / CONFIG, config)


def write_calibration(
    checkpoint: Manifest,
    temperatures: Mapping[str, float],
    cascades: Mapping[str, Cascade],
    default: str,
    precision: Precision = "float32",
) -> None:
    """Replace the calibration of a checkpoint in a precision, in one step."""
    write_hashed_json(
        checkpoint.path / file_of(CALIBRATION, precision),
        {
            "schema": SCHEMA,
            "weights_sha256": checkpoint.weights_sha256,
            **({"weight_levels": WEIGHT_LEVELS} if precision == "int8" else {}),
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
