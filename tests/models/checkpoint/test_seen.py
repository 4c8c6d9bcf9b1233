"""A data set that the checkpoint has met before: refused where the promise would be void."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nestling.cli import main
from nestling.models import Cascade, Checkpoint, DataError, Stage, load_checkpoint
from nestling.models.cascade.policy import Guarantee
from nestling.models.checkpoint.save import write_checkpoint
from nestling.models.checkpoint.seen import (
    ENOUGH,
    doubts_about_evaluation,
    refuse_to_search,
    refuse_training_texts,
    training_sample,
)
from nestling.models.errors import NestlingError
from nestling.models.inputs.data.fingerprints import KEPT, TextSample

from ...conftest import tiny_architecture, tiny_model, tiny_students, write_tokenizer

TRAINED = [f"play song number {i}" for i in range(100)]
NEW = [f"what is the weather on day {i}" for i in range(100)]


def trained_on(tmp_path: Path, texts: list[str], judged_by: list[str] | None = None) -> Checkpoint:
    path = tmp_path / "checkpoint"
    write_checkpoint(
        path,
        tiny_architecture(),
        tiny_students(),
        tiny_model().state_dict(),
        write_tokenizer(tmp_path / "tokenizer.json"),
        {"data_sha256": "ab" * 32},
        torch.float32,
        TextSample.of(texts),
        judged_by=None if judged_by is None else TextSample.of(judged_by),
    )
    return load_checkpoint(path)


def test_the_file_itself(tmp_path: Path) -> None:
    checkpoint = trained_on(tmp_path, TRAINED)
    with pytest.raises(DataError, match=r"train\.csv: is the very file that .* was trained on\. "
                       "What is promised on such texts does not hold"):  # fmt: skip
        refuse_training_texts(checkpoint, NEW, "ab" * 32, Path("train.csv"))
    (said,) = doubts_about_evaluation(checkpoint, NEW, "ab" * 32, Path("train.csv"))
    assert said.endswith("was trained on; the numbers are too good")


def test_its_texts_in_another_file(tmp_path: Path) -> None:
    checkpoint = trained_on(tmp_path, TRAINED)
    path = Path("other.jsonl")
    with pytest.raises(DataError, match="21 of 100 texts are among those that"):
        refuse_training_texts(checkpoint, [t.upper() for t in TRAINED[:21]] + NEW[:79], "", path)
    (said,) = refuse_training_texts(checkpoint, TRAINED[:20] + NEW[:80], "", path)
    assert said.startswith("other.jsonl: 20 of 100 texts are among")
    assert said.endswith("the promise is a little too good")
    assert refuse_training_texts(checkpoint, NEW, "", path) == []
    assert doubts_about_evaluation(checkpoint, NEW, "", path) == []
    (said,) = doubts_about_evaluation(checkpoint, NEW + TRAINED[:1], "", path)
    assert said.startswith("other.jsonl: 1 of 101 texts are among")


def test_what_judged_the_weights_promises_nothing(tmp_path: Path) -> None:
    checkpoint, path = trained_on(tmp_path, TRAINED, judged_by=NEW), Path("validation.jsonl")
    with pytest.raises(DataError, match="100 of 100 texts are among those that chose or judged"):
        refuse_training_texts(checkpoint, NEW, "", path)
    (said,) = doubts_about_evaluation(checkpoint, NEW[:9], "", path)
    assert "9 of 9 texts are among those that chose or judged the weights of" in said
    assert training_sample(checkpoint) == TextSample.of(TRAINED)
    assert refuse_to_search(checkpoint, NEW, "", path) == []


def test_copies_are_no_draws(tmp_path: Path) -> None:
    checkpoint = trained_on(tmp_path, TRAINED)
    (said,) = refuse_training_texts(checkpoint, NEW * 2, "", Path("a.csv"))
    assert said.startswith("a.csv: 100 of 200 rows repeat the text of another one")
    assert refuse_training_texts(checkpoint, NEW + NEW[:5], "", Path("a.csv")) == []


def test_a_checkpoint_that_keeps_no_sample(checkpoint: Checkpoint) -> None:
    assert refuse_training_texts(checkpoint, TRAINED, "", Path("a.csv")) == []


def test_a_sample_stands_for_many_texts() -> None:
    many = [f"text {i}" for i in range(20 * KEPT)]
    sample = TextSample.from_json(TextSample.of(many).to_json())
    assert (sample.distinct, len(sample.kept), sample.whole) == (20 * KEPT, KEPT, False)
    half = many[:5000] + [f"other {i}" for i in range(5000)]
    shared = sample.shared_with(half)
    assert 0.035 < shared.compared / len(half) < 0.065
    assert 0.4 < shared.share < 0.6
    assert sample.shared_with(["other"] * 10).found == 0


def test_few_of_many_texts_are_believed_where_chance_does_not_find_them(tmp_path: Path) -> None:
    """Beside 60,000 unlabelled texts a sample knows about one in fifteen of the labelled ones."""
    checkpoint = trained_on(tmp_path, [*TRAINED, *(f"unlabelled {i}" for i in range(60_000))])
    sample, path = training_sample(checkpoint), Path("copy.csv")
    assert sample is not None
    assert 3 <= sample.shared_with(TRAINED).compared < ENOUGH
    with pytest.raises(DataError, match="texts that could be told are among those that"):
        refuse_training_texts(checkpoint, TRAINED, "", path)
    few = [text for text in TRAINED if sample.shared_with([text]).found][:1]
    assert sample.shared_with([*few, *NEW]).found == 1
    assert len(refuse_training_texts(checkpoint, [*few, *NEW], "", path)) == 1


def test_the_sample_is_a_part_of_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = trained_on(tmp_path, TRAINED)
    file = checkpoint.path / "training-texts.json"
    assert json.loads(file.read_text())["distinct"] == 100
    file.unlink()
    with pytest.raises(Exception, match=r"training-texts\.json: missing"):
        load_checkpoint(checkpoint.path)


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: object
) -> list[str]:
    """What a command that ends with status 2 says, line by line."""
    monkeypatch.setattr(sys, "argv", ["nestling", *map(str, command)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


def refuse(*_: object) -> None:
    raise NestlingError("nothing is measured")


def test_the_commands_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, data = trained_on(tmp_path, TRAINED), tmp_path / "data.csv"
    data.write_text("\n".join(["text,label", *(f"{text},music" for text in TRAINED)]))
    for more in ([], ["--loss", "disagreement"]):
        lines = said(monkeypatch, capsys, "calibrate", checkpoint.path, "--data", data, *more)
        assert len(lines) == 1
        assert "100 of 100 texts are among those that" in lines[0]
        assert not (checkpoint.path / "calibration.json").exists()
    out = tmp_path / "out"
    monkeypatch.setattr("nestling.cli.evaluate._measure", refuse)  # the warning comes before it
    lines = said(monkeypatch, capsys, "evaluate", checkpoint.path, "--data", data, "--out", out)
    assert lines[0].startswith(f"warning: {data}: 100 of 100 texts are among those that")
    assert "nothing is measured" in lines[1]


def test_the_file_of_a_calibration(checkpoint: Checkpoint) -> None:
    ta, guarantee = (
        checkpoint.ta,
        Guarantee("test", "drop", 0.1, 0.9, 100, 50, 0.05, "cd" * 32, "ef" * 32),
    )
    cascade = Cascade("c", (Stage(ta, 0.0),), guarantee)
    calibrated = replace(checkpoint, cascades={"c": cascade})
    (doubt,) = doubts_about_evaluation(calibrated, NEW, "cd" * 32, Path("a.csv"))
    assert doubt.startswith("a.csv: is the file on which c was calibrated")
    assert doubts_about_evaluation(calibrated, NEW, "ab" * 32, Path("a.csv")) == []
