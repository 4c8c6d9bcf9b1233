"""Commands on a checkpoint of which a text may have any number of labels."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from nestling.models import Checkpoint, Predictor, load_checkpoint
from nestling.models.checkpoint.export import export
from nestling.models.checkpoint.save import write_checkpoint
from nestling.models.evaluation.predictions import predict_all
from nestling.models.heads import task_of
from nestling.models.runners.onnx.directory import export_onnx
from nestling.models.runners.onnx.runner import OnnxRunner

from ..conftest import LABELS, multi_label_architecture, tiny_model, tiny_students, write_tokenizer
from ..models.checkpoint.test_exports import program
from .conftest import Nestling, complaint
from .test_classify import rows_of, written
from .test_models import sentences

Row = dict[str, Any]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A small model whose answers differ from text to text, many of them alike in all students."""
    a = multi_label_architecture()
    state = tiny_model(architecture=a).state_dict()
    state["tokens"] *= 4
    path, tokenizer = tmp_path / "checkpoint", write_tokenizer(tmp_path / "tokenizer.json")
    write_checkpoint(path, a, tiny_students(), state, tokenizer, {}, torch.float32)
    return load_checkpoint(path)


def write_data(checkpoint: Checkpoint, path: Path, count: int, seed: int) -> Path:
    """Texts whose labels are what one of the three students says, mostly the TA."""
    texts, rng = sentences(count, seed), random.Random(seed + 1)
    said = predict_all(checkpoint, texts, "texts")
    task = task_of(checkpoint.architecture.head())
    judges = rng.choices(["ta", "small", "tiny"], weights=[0.85, 0.1, 0.05], k=count)
    answers = {name: said.labels(name).tolist() for name in said.logits}
    rows = [
        {"text": text, "labels": task.shown(answers[judge][row])}
        for row, (text, judge) in enumerate(zip(texts, judges, strict=True))
    ]
    return written(path, rows)


@pytest.mark.parametrize("loss", ["drop", "net", "disagreement"])
def test_a_calibration_counts_whole_sets(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path, loss: str
) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 500, 1)
    words = ("--max-drop", "0.4", "--loss", loss)
    run = nestling("calibrate", checkpoint.path, "--data", data, *words)
    assert run.exit_code == 0, run.stderr
    found = load_checkpoint(checkpoint.path)
    cascade = found.cascades[f"{loss}-0.4"]
    guarantee = cascade.guarantee
    assert guarantee is not None
    assert guarantee.loss == loss
    assert guarantee.observed_risk <= 0.4
    texts = [json.loads(line)["text"] for line in data.read_text().splitlines()]
    decisions = Predictor(found, cascade.name).predict(texts)
    alone = Predictor(found, "ta").predict(texts)
    differ = sum(
        a.answer.label != b.answer.label for a, b in zip(decisions, alone, strict=True)
    ) / len(texts)
    if loss == "disagreement":
        assert differ == pytest.approx(guarantee.observed_risk, abs=0.1)
    else:
        assert {s.temperature for s in found.students.values()} != {1.0}
    assert len(cascade.stages) > 1


def test_an_evaluation_has_the_f1_of_scikit_learn(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    data = write_data(checkpoint, tmp_path / "data.jsonl", 60, 2)
    out = tmp_path / "out"
    words = ("evaluate", checkpoint.path, "--data", data, "--sample", 32, "--repeats", 2)
    shown = nestling(*words, "--out", out)
    assert shown.exit_code == 0, shown.stderr
    assert "micro F1" in shown.stdout
    assert "all of whose labels are right" in " ".join(shown.stdout.split())
    assert "of whole sets, micro F1" in (out / "frontier.html").read_text()
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    true = [[name in row["labels"] for name in LABELS] for row in rows]
    for policy in json.loads((out / "report.json").read_text())["policies"]:
        predictor = Predictor(checkpoint, policy["name"])
        labels = map(predictor.label, predictor.predict([row["text"] for row in rows]))
        given = [[name in (each or []) for name in LABELS] for each in labels]
        assert policy["accuracy"] == pytest.approx(accuracy_score(true, given))
        for kind in ("micro", "macro"):
            assert policy[f"{kind}_f1"] == pytest.approx(f1_score(true, given, average=kind))


def test_a_search_looks_for_whole_sets(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 200, 3)
    out = tmp_path / "wider"
    words = ("--out", out, "--minutes", "0.02", "--max-drop", "0.3")
    run = nestling("search", checkpoint.path, "--data", data, *words)
    assert run.exit_code == 0, run.output
    assert "texts that chose" in run.stdout


def test_info_says_that_any_labels_may_hold(
    multi_label_checkpoint_dir: Path, checkpoint_dir: Path, nestling: Nestling
) -> None:
    for path, said in ((multi_label_checkpoint_dir, "any"), (checkpoint_dir, "one")):
        shown = " ".join(nestling("info", path).output.split())
        assert f"bert, {said} of 5 labels, at most 40 tokens" in shown


@pytest.mark.parametrize("form", [".jsonl", ".csv", ".parquet"])
def test_files_are_answered_with_lists(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path, form: str
) -> None:
    texts = sentences(40, 5)
    rows: list[Row] = [{"text": t, "label": "its own", "labels": "x"} for t in texts]
    path, out = written(tmp_path / f"in{form}", rows), tmp_path / f"out{form}"
    own = ("--runner", "torch", "--processes", 1, "--model", "small")
    run = nestling("classify", checkpoint.path, *own, "--input", path, "--output", out)
    assert run.exit_code == 0, run.output
    predictor = Predictor(checkpoint, "small")
    found = rows_of(out)
    assert list(found[0])[:5] == ["text", "label", "input_labels", "labels", "score"]
    sizes = set()
    for row, decision in zip(found, predictor.predict(texts), strict=True):
        labels = json.loads(row["labels"]) if form == ".csv" else row["labels"]
        assert labels == predictor.label(decision)
        assert float(row["score"]) == pytest.approx(decision.answer.confidence, abs=2e-6)
        assert (row["label"], row["input_labels"]) == ("its own", "x")
        sizes.add(len(labels))
    assert 0 in sizes or len(sizes) > 1


def test_a_label_alone_does_not_evaluate(
    multi_label_checkpoint_dir: Path, nestling: Nestling, data: Path
) -> None:
    said = complaint(nestling("evaluate", multi_label_checkpoint_dir, "--data", data))
    assert "row 1: label is the text 'music'; expected a list of labels" in said


def test_exports_give_the_probabilities_that_are_served(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 300, 1)
    assert nestling("calibrate", checkpoint.path, "--data", data, "--max-drop", 0.4).exit_code == 0
    calibrated, texts = load_checkpoint(checkpoint.path), sentences(20, 7)
    temperature = calibrated.students["small"].temperature
    assert temperature != 1
    export(calibrated, "small", tmp_path / "out")
    export_onnx(calibrated, "small", tmp_path / "graph")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert model.config.problem_type == "multi_label_classification"
    with torch.inference_mode():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    own = predict_all(calibrated, texts, "texts").logits["small"].numpy()
    task = task_of(calibrated.architecture.head())
    served = torch.from_numpy(task.probabilities(own, torch.full((20,), temperature).numpy()))
    torch.testing.assert_close(logits.sigmoid(), served, rtol=1e-4, atol=1e-5)
    decisions = Predictor(calibrated, "small").predict(texts)
    whole = torch.tensor([decision.answer.confidence for decision in decisions])
    sure = torch.maximum(served, 1 - served).prod(dim=1)
    torch.testing.assert_close(sure, whole, rtol=1e-4, atol=1e-5)
    pipe = transformers.pipeline("text-classification", model=str(tmp_path / "out"), device="cpu")
    (answer,) = pipe([texts[0]], truncation=True, top_k=None)
    theirs = {each["label"]: each["score"] for each in answer}
    assert theirs == pytest.approx(dict(zip(LABELS, served[0].tolist(), strict=True)), abs=1e-4)
    for where in ("out", "graph"):
        card = (tmp_path / where / "README.md").read_text()
        assert "It sorts a text into any of 5 classes, or none: " in card
        assert "the sigmoid p of each of these logits" in card
        assert "softmax" not in card


@pytest.mark.parametrize("write", [pytest.param(export, marks=pytest.mark.slow), export_onnx])
def test_the_programs_of_the_readmes_run(
    multi_label_checkpoint: Checkpoint, tmp_path: Path, write: Any
) -> None:
    write(multi_label_checkpoint, "small", tmp_path / "out")
    texts = sentences(5, 9)
    words = [sys.executable, "-c", program(tmp_path / "out"), *texts]
    ran = subprocess.run(words, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    predictor = Predictor(multi_label_checkpoint, "small")
    found = [line.split("  ") for line in ran.stdout.splitlines()]
    expected = map(predictor.label, predictor.predict(texts))
    for (scores, labels, text), wanted, own in zip(found, expected, texts, strict=True):
        assert (sorted(labels.split()), text) == (wanted, own)  # whose names are in order
        assert len(scores.split()) == len(wanted or [])


def test_onnx_runtime_answers_as_torch(multi_label_checkpoint: Checkpoint) -> None:
    texts, runner = sentences(30, 4), OnnxRunner(multi_label_checkpoint)
    for student in ("tiny", "small", "ta"):
        expected = Predictor(multi_label_checkpoint, student).predict(texts)
        found = Predictor(multi_label_checkpoint, student, runner).predict(texts)
        assert len({each.answer.label for each in expected}) > 1
        for one, other in zip(found, expected, strict=True):
            assert one.answer.label == other.answer.label
            assert one.answer.confidence == pytest.approx(other.answer.confidence, abs=1e-5)
