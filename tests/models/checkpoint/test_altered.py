"""A checkpoint whose config says what cannot be is refused in one line, whatever its hashes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nestling.models import CheckpointError, load_checkpoint
from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of, write_hashed_json
from nestling.models.checkpoint.manifest import CONFIG, TOKENIZER
from nestling.models.checkpoint.schema import SCHEMAS
from nestling.models.nested.architecture import SIZES


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    said = str(error.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        *((name, value, "is no whole number of 1 or more")
          for name in SIZES
          for value in (-1, 0, 1.5, True, "8")),
        ("norm_eps", 1e300, "is not between 0 and 1"),
    ],
)  # fmt: skip
def test_an_architecture_that_cannot_be(
    checkpoint_dir: Path, field: str, value: Any, word: str
) -> None:
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    config["architecture"][field] = value
    write_hashed_json(checkpoint_dir / CONFIG, config)
    said = refused(checkpoint_dir)
    assert f"architecture: {field}" in said
    assert word in said


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("label", {"labels": []}, "heads: label: labels: is no list of names"),
        ("label", {"labels": "abcde"}, "heads: label: labels: is no list of names"),
        ("label", {"labels": ["a", None, "c", "d", "e"]}, "labels: None is no name"),
        ("label", {"labels": ["a", "b", "c", "d", "\x1b[31m"]}, "is no name that can be printed"),
        ("label", {"labels": ["a", "b", "c", "d", "a"]}, "labels: 'a' stands there twice"),
        ("label", {"task": "regression"}, "label: task: 'regression' is none of single_label"),
        ("label", {"reads": ["first"]}, "label: reads: ['first'] is none of first"),
        ("label", {"more": 1}, "heads: label: unknown more"),
        ("two words", {}, "head 'two words': its name is not of the form"),
        ("a.b", {}, "head 'a.b': its name has a dot"),
    ],
)
def test_a_head_that_cannot_be(
    checkpoint_dir: Path, name: str, changed: dict[str, Any], words: str
) -> None:
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    config["heads"] = {name: config["heads"]["label"] | changed}
    write_hashed_json(checkpoint_dir / CONFIG, config)
    assert words in refused(checkpoint_dir)


@pytest.mark.parametrize("heads", [{}, [], None, {"label": 1}])
def test_heads_that_are_none(checkpoint_dir: Path, heads: Any) -> None:
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    config["heads"] = heads
    write_hashed_json(checkpoint_dir / CONFIG, config)
    assert "heads: " in refused(checkpoint_dir)


def test_a_file_elsewhere(checkpoint_dir: Path) -> None:
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    config["files"]["../tokenizer.json"] = config["files"][TOKENIZER]
    write_hashed_json(checkpoint_dir / CONFIG, config)
    assert "'../tokenizer.json' is no file of this directory" in refused(checkpoint_dir)


def test_a_student_called_as_the_whole(checkpoint_dir: Path) -> None:
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    config["students"]["ta"] = config["students"]["tiny"]
    write_hashed_json(checkpoint_dir / CONFIG, config)
    assert "students: 'ta' is the whole model" in refused(checkpoint_dir)


def test_a_token_that_the_model_does_not_have(checkpoint_dir: Path) -> None:
    tokenizer = json.loads((checkpoint_dir / TOKENIZER).read_text("utf-8"))
    tokenizer["model"]["vocab"]["extra"] = 40_000
    (checkpoint_dir / TOKENIZER).write_text(json.dumps(tokenizer), "utf-8")
    config = read_hashed_json(checkpoint_dir / CONFIG, SCHEMAS)
    config["files"][TOKENIZER] = sha256_of(checkpoint_dir / TOKENIZER)
    write_hashed_json(checkpoint_dir / CONFIG, config)
    assert "gives the id 40000, but the model's vocabulary ends at" in refused(checkpoint_dir)
