"""`nestling search`: from texts to a checkpoint with more students, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestling.models import Checkpoint, NestlingError, load_checkpoint
from nestling.models.checkpoint.searches import read_searches
from nestling.models.evaluation.predictions import encode_all
from nestling.models.search import run

from ..searchable import searchable, texts_and_truth
from .conftest import Nestling, complaint, everything_in


@pytest.fixture
def wide(checkpoint_dir: Path) -> Path:
    """A checkpoint in which there is something to find."""
    return searchable(checkpoint_dir).path


@pytest.fixture
def texts(wide: Path, tmp_path: Path) -> Path:
    checkpoint, path = load_checkpoint(wide), tmp_path / "texts.jsonl"
    found, truth = texts_and_truth(checkpoint)
    labels = [checkpoint.architecture.head().labels[index] for index in truth]
    rows = [json.dumps({"text": t, "label": n}) for t, n in zip(found, labels, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


SHORT = ("--minutes", "0.05", "--max-drop", "0.3")


def test_it_adds_what_it_finds_to_a_copy(
    nestling: Nestling, wide: Path, texts: Path, tmp_path: Path
) -> None:
    before, out = everything_in(wide), tmp_path / "wider"
    result = nestling("search", wide, "--data", texts, "--out", out, *SHORT)
    assert result.exit_code == 0, result.output
    assert "texts that chose" in result.stdout
    assert "Cascade of the students there were" in result.stdout
    assert everything_in(wide) == before
    assert out.exists(), result.stdout
    known, wider = load_checkpoint(wide), load_checkpoint(out)
    added = wider.students.keys() - known.students.keys()
    assert 1 <= len(added) <= 4
    (record,) = read_searches(out)
    assert record.students.keys() == added
    assert all(0 <= each["accuracy"] <= 1 for each in record.students.values())
    refused = complaint(nestling("calibrate", out, "--data", texts))
    assert "is the very file by which students of" in refused


def test_it_adds_to_the_checkpoint_itself(nestling: Nestling, wide: Path, texts: Path) -> None:
    before = load_checkpoint(wide).students.keys()
    result = nestling("search", wide, "--data", texts, "--add", "1", *SHORT)
    assert result.exit_code == 0, result.output
    (added,) = load_checkpoint(wide).students.keys() - before
    assert f"added {added}" in " ".join(result.stdout.split())


def test_a_text_that_is_too_long_is_looked_at_by_its_beginning(
    nestling: Nestling, wide: Path, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def started(loaded: Checkpoint, texts: list[str], *_: object) -> None:
        asked.extend(texts)
        encode_all(loaded, texts, "texts")
        raise NestlingError("far enough")

    monkeypatch.setattr(run, "search", started)
    first, *others = texts.read_text().splitlines()
    long = json.loads(first) | {"text": "play " * 60}
    texts.write_text("\n".join([json.dumps(long), *others]) + "\n")
    result = nestling("search", wide, "--data", texts)
    *notes, last = result.stderr.splitlines()
    assert "far enough" in last
    assert [note for note in notes if note.startswith(
        f"warning: {texts}: 1 of 240 texts have more than 40 tokens; what follows is of their "
    )]  # fmt: skip
    assert asked[0] in long["text"]
    assert asked[1] == json.loads(others[0])["text"]


def test_what_cannot_be_is_refused_first(
    nestling: Nestling, wide: Path, texts: Path, data: Path, tmp_path: Path
) -> None:
    def refused(*options: object) -> str:
        return complaint(nestling("search", wide, *options))

    (tmp_path / "there").mkdir()
    assert "exists already" in refused("--data", texts, "--out", tmp_path / "there")
    assert "40 different texts are too few to search with" in refused("--data", data)
    assert "latency-ms: takes --cost time" in refused("--data", texts, "--latency-ms", "1")
    assert "cost: '0.1' is none of flops, time" in refused("--data", texts, "--cost", "0.1")
    assert "max-cost: 1e-08 is below" in refused("--data", texts, "--max-cost", "1e-8")
