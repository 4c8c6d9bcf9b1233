"""`nestling calibrate --scope`, and what of it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestling.models import Checkpoint, Predictor, load_checkpoint

from .conftest import Nestling, complaint, everything_in
from .test_models import checkpoint, sentences, write_data

__all__ = ["checkpoint"]  # a model whose answers differ from text to text


def test_each_student_gets_a_scope_and_the_ta_may_abstain(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 500, 1)
    strangers = tmp_path / "strangers.jsonl"
    strangers.write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences(50, 9)))
    words = ("calibrate", checkpoint.path, "--data", data, "--max-drop", "0.3")
    run = nestling(*words, "--out-of-scope", strangers, "--abstain")
    assert run.exit_code == 0, run.stderr
    assert "each scope keeps at least 95.0%" in run.stdout
    assert "ta finds out of scope is answered without a label" in run.stdout
    assert "Of 50 texts out of scope" in run.stdout
    assert nestling(*words, "--scope", "0.8").exit_code == 0
    assert nestling(*words).exit_code == 0

    found = load_checkpoint(checkpoint.path)
    assert all(stage.scope > 0 for stage in found.cascades["drop-0.3-abstaining"].stages)
    assert [stage.scope > 0 for stage in found.cascades["drop-0.3-scoped"].stages][-1] is False
    assert found.cascades["drop-0.3-scoped"].stages[0].scope > 0
    assert found.cascades["drop-0.3"].scope is None
    promise = found.cascades["drop-0.3-abstaining"].scope
    assert promise
    assert promise.out_of_scope
    assert promise.out_of_scope.texts == 50
    decisions = Predictor(found, "drop-0.3-abstaining").predict(sentences(50, 9))
    answered = sum(not decision.abstained for decision in decisions) / 50
    assert promise.out_of_scope.answered == pytest.approx(answered)


@pytest.mark.parametrize("option", ["--scope", "--out-of-scope", "--abstain"])
def test_records_have_no_scopes_to_find(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path, option: str
) -> None:
    given = {"--scope": ["0.9"], "--out-of-scope": [tmp_path / "x.jsonl"]}.get(option, [])
    records = tmp_path / "records.jsonl"
    run = nestling("calibrate", checkpoint.path, "--from-shadow", records, option, *given)
    assert f"{option}: --from-shadow keeps the scopes" in complaint(run)


def test_too_few_texts_are_refused_before_a_student_is_asked(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 120, 1)
    before = everything_in(checkpoint.path)
    words = ("calibrate", checkpoint.path, "--data", data, "--max-drop", "0.3")
    run = nestling(*words, "--scope", "0.99")
    assert "scope: " in complaint(run)
    assert "it takes 299" in complaint(run)
    assert everything_in(checkpoint.path) == before
