"""What a checkpoint says of its training, and what two runs must share to resume each other."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .material import Material, Options
from .recipe import Recipe


def settings(
    options: Options, material: Material, recipe: Recipe, processes: int
) -> dict[str, Any]:
    """What decides the result: equal settings may resume each other."""
    return {
        "teacher": options.teacher,
        "teacher_weights": _fingerprint(material.imported),
        "columns": [
            options.texts.text,
            options.texts.pair if material.architecture.head().inputs == "pair" else None,
            options.labels.column,
            options.probabilities_column,
        ],
        "recipe": asdict(recipe),
        "minutes": options.wishes.minutes,
        "architecture": material.architecture.to_json(),
        "heads": material.architecture.heads_to_json(),
        "students": {name: spec.to_json() for name, spec in material.students.items()},
        "data_sha256": material.data.sha256,
        "unlabelled": material.unlabelled.digest,
        "longest": material.longest,
        "processes": processes,
    }


def provenance(
    options: Options, material: Material, recipe: Recipe, processes: int
) -> dict[str, Any]:
    """Where a checkpoint comes from; the run adds what it found."""
    found: dict[str, Any] = {
        "teacher": Path(options.teacher).name,
        "data": options.data.name,
        "data_sha256": material.data.sha256,
    }
    if material.validation_sha256:
        found["validation_sha256"] = material.validation_sha256
    if options.probabilities_column:
        found["probabilities"] = options.probabilities_column
    if material.unlabelled.texts:
        found["unlabelled"] = len(material.unlabelled.texts)
        found["unlabelled_sha256"] = material.unlabelled.sha256
    return found | {
        "examples": len(material.train),
        "longest": material.longest,
        "recipe": asdict(recipe),
        "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
        "processes": processes,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def _fingerprint(weights: Mapping[str, Tensor]) -> str:
    found = blake2b(digest_size=16)
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
