"""Checkpoints of schema 1 are read as if they had been written today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nestling.models import CheckpointError, load_checkpoint
from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of, write_hashed_json
from nestling.models.checkpoint.manifest import CONFIG, WEIGHTS, read_manifest
from nestling.models.checkpoint.save import write_weights
from nestling.models.checkpoint.schema import SCHEMA, SCHEMAS, upgraded
from nestling.models.checkpoint.weights import read_weights
from nestling.models.nested.batch import PackedBatch

from ...conftest import LABELS
from ..test_zoo import shipped

TEXTS = [[2, 5, 9, 3], [2, 3], [2, 8, 8, 8, 8, 3]]


def as_before(fields: dict[str, Any]) -> dict[str, Any]:
    return {"heads" if n == "attention_heads" else n: v for n, v in fields.items()}


def write_schema_1(path: Path) -> None:
    """Rewrite a checkpoint with one head as the first version wrote it."""
    config = read_hashed_json(path / CONFIG, SCHEMAS)
    weights = load_file(path / WEIGHTS)
    write_weights({n.removeprefix("heads.label."): w for n, w in weights.items()}, path / WEIGHTS)
    head = config.pop("heads")["label"]
    config |= {
        "schema": 1,
        "task": "text-classification",
        "architecture": as_before(config["architecture"]) | {"labels": head["labels"]},
        "students": {name: as_before(spec) for name, spec in config["students"].items()},
        "files": config["files"] | {WEIGHTS: sha256_of(path / WEIGHTS)},
    }
    write_hashed_json(path / CONFIG, config)


def test_it_answers_as_before(checkpoint_dir: Path) -> None:
    now = load_checkpoint(checkpoint_dir)
    write_schema_1(checkpoint_dir)
    assert "pooler.weight" in load_file(checkpoint_dir / WEIGHTS)
    before = load_checkpoint(checkpoint_dir)
    assert before.architecture == now.architecture
    assert before.architecture.head().labels == LABELS
    assert {n: s.spec for n, s in before.students.items()} == {
        n: s.spec for n, s in now.students.items()
    }
    for student in now.students.values():
        batch = PackedBatch.of(TEXTS, student.spec)
        assert torch.equal(before.model(batch), now.model(batch))
    weights = read_weights(read_manifest(checkpoint_dir))
    assert weights.keys() == now.model.state_dict().keys()


def test_a_weight_is_called_as_its_file_calls_it(checkpoint_dir: Path) -> None:
    write_schema_1(checkpoint_dir)
    weights = load_file(checkpoint_dir / WEIGHTS)
    del weights["pooler.bias"]
    write_weights(weights, checkpoint_dir / WEIGHTS)
    config = read_hashed_json(checkpoint_dir / CONFIG)
    config["files"][WEIGHTS] = sha256_of(checkpoint_dir / WEIGHTS)
    write_hashed_json(checkpoint_dir / CONFIG, config)
    with pytest.raises(CheckpointError, match=r"model.safetensors: pooler.bias: missing"):
        load_checkpoint(checkpoint_dir)


def test_a_later_schema_is_refused(checkpoint_dir: Path) -> None:
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    write_hashed_json(checkpoint_dir / CONFIG, config | {"schema": SCHEMA + 1})
    with pytest.raises(CheckpointError, match=r"schema version 3; .* reads 1 and 2"):
        load_checkpoint(checkpoint_dir)


def test_the_checkpoint_that_ships_is_one() -> None:
    config = read_hashed_json(shipped().path / CONFIG, SCHEMAS)
    assert config["schema"] == 1
    assert upgraded(config)["students"]["tiny"]["attention_heads"] == [12]
