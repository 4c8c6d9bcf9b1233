"""What is read before anything is computed, and what the user is told of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nestling.models.checkpoint.save import write_checkpoint
from nestling.models.inputs.data import fingerprints
from nestling.models.inputs.data.fingerprints import TextSample
from nestling.models.training.further.material import (
    FurtherMaterial,
    FurtherOptions,
    gather_further,
)
from nestling.models.training.further.parts import FurtherPart
from nestling.models.training.held_out import TELLING

from ....conftest import LABELS, tiny_architecture, tiny_model, tiny_students
from .conftest import write_lines

NEW = [f"play song number {i}" for i in range(300)]
JUDGING = [f"what is the weather on day {i}" for i in range(TELLING)]


def gathered(
    checkpoint: Path, folder: Path, labelled: int = 0, judging: int = 0
) -> FurtherMaterial:
    """labelled: texts of the traffic that have a label. judging: texts of a validation."""
    rows = [{"text": text} for text in NEW]
    for row in rows[:labelled]:
        row["label"] = "music"
    traffic = write_lines(folder / "traffic.jsonl", rows)
    validation = [{"text": text, "label": "weather"} for text in JUDGING[:judging]]
    judges = write_lines(folder / "validation.jsonl", validation) if judging else None
    return gather_further(FurtherOptions(checkpoint, traffic, folder / "out", validation=judges))


def trained_on(checkpoint: Path, texts: list[str], judged_by: list[str]) -> Path:
    path = checkpoint.with_name("trained")
    write_checkpoint(
        path,
        tiny_architecture(),
        tiny_students(),
        tiny_model().state_dict(),
        checkpoint / "tokenizer.json",
        {},
        trained_on=TextSample.of(texts),
        judged_by=TextSample.of(judged_by),
    )
    return path


def test_labels_of_traffic_may_have_been_picked(checkpoint_dir: Path, tmp_path: Path) -> None:
    assert "music" in LABELS
    found = gathered(checkpoint_dir, tmp_path, labelled=299)
    assert sum(e.label is not None for e in found.texts[FurtherPart.JUDGES]) >= TELLING
    assert not found.by_labels
    assert any("0 of the texts that judge have a label that is not of" in n for n in found.notes)
    few = gathered(checkpoint_dir, tmp_path, judging=TELLING - 1)
    assert not few.by_labels
    assert any(f"{TELLING - 1} of the texts that judge have a label" in n for n in few.notes)
    enough = gathered(checkpoint_dir, tmp_path, judging=TELLING)
    assert enough.by_labels
    assert not any("held against the TA's word" in note for note in enough.notes)


def test_what_chose_or_judged_is_remembered(checkpoint_dir: Path, tmp_path: Path) -> None:
    earlier = trained_on(checkpoint_dir, ["learnt"], judged_by=["judged before"])
    found = gathered(earlier, tmp_path, judging=20)
    chose = [e.text for e in found.texts[FurtherPart.CHOOSES]]
    judged = [e.text for e in found.texts[FurtherPart.JUDGES]]
    assert set(JUDGING[:20]) < set(judged)
    assert found.judged_by == TextSample.of(["judged before", *chose, *judged])
    assert found.trained_on.shared_with([*chose, *judged]).found == 0


def test_a_validation_that_was_trained_on_is_told(checkpoint_dir: Path, tmp_path: Path) -> None:
    earlier = trained_on(checkpoint_dir, JUDGING[:7], judged_by=[])
    (said,) = [n for n in gathered(earlier, tmp_path, judging=20).notes if "warning" in n]
    assert "validation.jsonl: 7 of 20 texts are among those that" in said
    assert said.endswith("was trained on; the weights before are too good there")
    shutil.rmtree(earlier)
    again = trained_on(checkpoint_dir, NEW, judged_by=JUDGING)  # judging again is no fault
    assert not any("warning" in note for note in gathered(again, tmp_path, judging=20).notes)


def test_a_sample_of_the_training_texts_lets_some_judge(
    checkpoint_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "so that others of them may judge where they come in traffic"
    assert any(said in note for note in gathered(checkpoint_dir, tmp_path).notes)
    monkeypatch.setattr(fingerprints, "KEPT", 10)
    some = trained_on(checkpoint_dir, NEW[:40], judged_by=[])
    notes = gathered(some, tmp_path).notes
    assert any("it knows 10 of 40, " + said in note for note in notes)
    monkeypatch.undo()
    shutil.rmtree(some)
    whole = trained_on(checkpoint_dir, NEW[:40], judged_by=[])
    assert not any(said in note for note in gathered(whole, tmp_path).notes)


def test_few_judges_are_told(checkpoint_dir: Path, tmp_path: Path) -> None:
    (told,) = [n for n in gathered(checkpoint_dir, tmp_path).notes if "texts train" in n]
    assert "too few to notice" not in told
    traffic = write_lines(tmp_path / "few.jsonl", [{"text": text} for text in NEW[:100]])
    found = gather_further(FurtherOptions(checkpoint_dir, traffic, tmp_path / "out"))
    assert any("judge, too few to notice a small loss; " in note for note in found.notes)


def test_a_log_that_has_grown_is_read_as_far_as_asked(checkpoint_dir: Path, tmp_path: Path) -> None:
    first = gathered(checkpoint_dir, tmp_path)
    options = FurtherOptions(checkpoint_dir, tmp_path / "traffic.jsonl", tmp_path / "out")
    with options.traffic.open("a") as log:
        log.write(json.dumps({"text": "one more"}) + "\n")
    found = gather_further(options, size=first.traffic_bytes)
    assert found.files == first.files
    assert any("has grown since it was first read for" in note for note in found.notes)
    assert gather_further(options).files != first.files
