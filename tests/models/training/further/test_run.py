"""From traffic to a better checkpoint, and never silently to a worse one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestling.models import Checkpoint, DataError, Predictor, load_checkpoint
from nestling.models.checkpoint.integrity import write_hashed_json
from nestling.models.checkpoint.searches import SearchRecord, read_searches
from nestling.models.checkpoint.seen import (
    judging_sample,
    refuse_training_texts,
    training_sample,
)
from nestling.models.inputs.data.fingerprints import TextSample, fingerprint
from nestling.models.training.further.parts import FurtherPart, part_of
from nestling.models.training.held_out import TELLING

from ..conftest import write_data
from .conftest import Further, write_lines, write_traffic

LONGER = ("--steps=60", "--learning-rate=0.005", "--pool=0")


@pytest.mark.slow
def test_labelled_traffic_makes_it_better(
    further: Further, checkpoint_dir: Path, tmp_path: Path
) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 700, seed=0)
    data = write_data(tmp_path / "data.jsonl", 50, seed=7)
    ended = further(f"--traffic={traffic}", f"--data={data}", *LONGER)
    assert ended.status == 0, ended.err
    assert "sure and wrong, of" in ended.err
    assert "tiny" in ended.out
    assert "worse" not in ended.out.replace("p of worse", "")
    assert "Next: nestling calibrate" in ended.out.replace("\n", " ")
    assert not (tmp_path / "out.training").exists()
    before, after = load_checkpoint(checkpoint_dir), load_checkpoint(tmp_path / "out")
    assert list(after.students) == list(before.students)
    (done,) = after.provenance["further"]
    assert after.provenance["teacher"] == "none"
    assert done["share"] == 1.0, "held-out texts say that there is much to learn"
    assert done["from_weights_sha256"] == before.weights_sha256
    gained = {each["student"]: each["after"] - each["before"] for each in done["judged"]}
    assert min(gained["small"], gained["ta"]) > 0.2, gained
    assert gained["tiny"] > 0, gained
    sample = training_sample(after)
    assert sample is not None
    trained = {fingerprint(json.loads(line)["text"]) for line in data.read_text().splitlines()}
    assert trained < sample.kept
    assert sample.distinct <= done["texts"]["trains"]


def test_another_round_goes_on_from_the_last(further: Further, tmp_path: Path) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 200, seed=0)
    first = tmp_path / "first"
    assert further(f"--traffic={traffic}", "--pool=0", "--steps=5").status == 0
    (tmp_path / "out").rename(first)
    ended = further(f"--resume-from={first}", f"--traffic={traffic}", "--pool=0", "--steps=5")
    assert ended.status == 0, ended.err
    assert len(load_checkpoint(tmp_path / "out").provenance["further"]) == 2


def test_what_became_worse_is_written_only_when_told_so(
    further: Further, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 250, seed=0, labels="wrong")
    texts = [json.loads(line)["text"] for line in traffic.read_text().splitlines()]
    predictor = Predictor(checkpoint, "ta")
    said = map(predictor.label, predictor.predict(texts))
    rows = [{"text": f"{t} six", "label": s} for t, s in zip(texts, said, strict=True)]
    validation = write_lines(tmp_path / "validation.jsonl", rows)
    options = (f"--traffic={traffic}", f"--validation={validation}", *LONGER)
    refused = further(*options)
    assert "worse beyond noise: " in refused.complaint
    assert "ta on validation" in refused.complaint
    assert "--keep-worse" in refused.complaint
    assert not (tmp_path / "out").exists()
    assert "had other settings, in " in further(*options, "--seed=1", "--keep-worse").complaint
    with traffic.open("a") as log:  # which the server goes on writing
        log.write(json.dumps({"text": "play some other music"}) + "\n")
    kept = further(*options, "--keep-worse")
    assert kept.status == 0, kept.err
    assert "has grown since it was first read for" in kept.err
    assert "students:" not in kept.err, "it was trained already"
    assert "kept because of --keep-worse" in kept.out
    assert "ta on validation" in load_checkpoint(tmp_path / "out").provenance["further"][0]["worse"]


def test_without_any_label_the_ta_is_held_to_its_word(
    further: Further, checkpoint_dir: Path, tmp_path: Path
) -> None:
    search = SearchRecord("s.jsonl", "ab" * 32, TextSample.of(["a text"]), {}, {})
    record = {"schema": 1, "searches": [search.to_json()]}
    write_hashed_json(checkpoint_dir / "searches.json", record)
    traffic = write_traffic(tmp_path / "traffic.jsonl", 200, seed=0, labels="none")
    ended = further(f"--traffic={traffic}", "--steps=5", "--pool=0", "--learning-rate=1e-5")
    assert ended.status == 0, ended.err
    assert "no --data: what the checkpoint has learnt before is not repeated" in ended.err
    assert "no text that judges has a label" in ended.err
    assert "by the earlier TA's word" in ended.out
    after = load_checkpoint(tmp_path / "out")
    assert read_searches(after.path) == [search], "its students are those of before"
    judged = [json.loads(line)["text"] for line in traffic.read_text().splitlines()]
    judged = [text for text in judged if part_of(text) is not FurtherPart.TRAINS]
    assert judging_sample(after) == TextSample.of(judged)
    with pytest.raises(DataError, match="among those that chose or judged the weights"):
        refuse_training_texts(after, judged, "", traffic)


def test_what_harms_held_out_texts_is_learnt_less(
    further: Further, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 700, seed=0, labels="wrong")
    rows = [json.loads(line) for line in traffic.read_text().splitlines()]
    ta = Predictor(checkpoint, "ta")
    said = map(ta.label, ta.predict([row["text"] for row in rows]))
    for row, label in zip(rows, said, strict=True):
        if part_of(row["text"]) is FurtherPart.CHOOSES:
            row["label"] = label
    write_lines(traffic, rows)
    strong = ("--steps=10", "--learning-rate=0.005", "--pool=0", "--keep-worse")
    ended = further(f"--traffic={traffic}", *strong)
    assert ended.status == 0, ended.err
    assert "the weights go 12.5% of the way" in ended.err
    (done,) = load_checkpoint(tmp_path / "out").provenance["further"]
    assert done["share"] == 0.125
    assert done["texts"]["chooses"] >= TELLING


@pytest.mark.slow
def test_a_run_within_minutes_with_what_a_first_training_takes(
    further: Further, tmp_path: Path
) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 100, seed=0)
    options = ("--minutes=0.1", "--longest=8", "--relation-weight=1", "--pool=2", "--batch-size=8")
    ended = further(f"--traffic={traffic}", *options)
    assert ended.status == 0, ended.err
    assert "of which 8 tokens are read at most" in ended.err
    assert "too few to choose by: the last state is kept" in ended.err
    (done,) = load_checkpoint(tmp_path / "out").provenance["further"]
    assert done["recipe"]["relation_weight"] == 1
    assert 1 <= done["recipe"]["joint"]["steps"] <= 67, "a third of 200, or what the minutes leave"


def test_numbers_that_are_not_finite_leave_nothing(further: Further, tmp_path: Path) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 100, seed=0)
    ended = further(f"--traffic={traffic}", "--steps=4", "--learning-rate=1e30", "--pool=0")
    assert "not finite" in ended.complaint
    assert "No checkpoint is written, no state kept" in ended.complaint
    assert not list((tmp_path / "out.training").iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--traffic=t.jsonl", "--teacher=x"), "--teacher: does not go with --resume-from"),
        (("--traffic=t.jsonl", "--students=x"), "--students: does not go with --resume-from"),
        (("--traffic=t.jsonl", "--unlabelled=x"), "may stand in the file of --traffic"),
        (("--traffic=t.jsonl", "--probabilities=x"), "--probabilities: does not go with"),
        (("--traffic=t.jsonl", "--label-map=x"), "--label-map: does not go with"),
        (("--traffic=t.jsonl", "--steps=1", "--minutes=1"), "--minutes and --steps: one of them"),
        ((), "--resume-from: wants --traffic FILE"),
        (("--traffic=none.jsonl",), "none.jsonl: no such file"),
    ],
)
def test_options_that_make_no_sense(further: Further, options: tuple[str, ...], said: str) -> None:
    assert said in further(*options).complaint


def test_too_few_texts(further: Further, tmp_path: Path) -> None:
    traffic = write_traffic(tmp_path / "traffic.jsonl", 5, seed=0)
    assert "it takes 10 at least" in further(f"--traffic={traffic}").complaint


def test_traffic_wants_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nestling.cli import main

    for options, said in (
        (("--traffic", "t.jsonl"), "--traffic: says nothing without --resume-from CHECKPOINT"),
        ((), "--teacher: is missing"),
    ):
        out = str(tmp_path / "out")
        monkeypatch.setattr("sys.argv", ["nestling", "train", "--out", out, *options])
        with pytest.raises(SystemExit):
            main()
        assert said in capsys.readouterr().err
