"""calibrate, evaluate, export and info from end to end, on texts that the small model judges."""

from __future__ import annotations

import json
import random
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nestling.cli import main
from nestling.models import Checkpoint, Predictor, load_checkpoint
from nestling.models.calibration.calibrate import calibrate
from nestling.models.calibration.cost import TextSeconds, TimeModel, seconds_of
from nestling.models.calibration.evidence import outcome
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.score import Score
from nestling.models.checkpoint.integrity import sha256_of
from nestling.models.checkpoint.manifest import calibrated_for
from nestling.models.checkpoint.save import write_calibration, write_checkpoint
from nestling.models.evaluation.accuracy import answer
from nestling.models.evaluation.predictions import predict_all
from nestling.models.nested.batch import PackedBatch
from nestling.models.precision import INT8, margin_of
from nestling.models.runners.choose import choose

from ..conftest import (
    LABELS,
    WORDS,
    task_with,
    tiny_architecture,
    tiny_model,
    tiny_students,
    write_tokenizer,
)
from ..progress import without_progress

SECONDS = {"tiny": 1e-5, "small": 3e-5, "ta": 1e-3}
BY = TimeModel({name: TextSeconds(0.0, each) for name, each in SECONDS.items()}, "f11e" * 16)
MARGIN = margin_of("float32")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A small model that reads its words: its answers differ from text to text."""
    state = tiny_model().state_dict()
    state["tokens"] *= 4
    path, tokenizer = tmp_path / "checkpoint", write_tokenizer(tmp_path / "tokenizer.json")
    students = tiny_students()
    write_checkpoint(path, tiny_architecture(), students, state, tokenizer, {}, torch.float32)
    return load_checkpoint(path)


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS[4:], k=rng.randint(1, 20))) for _ in range(count)]


def write_data(checkpoint: Checkpoint, path: Path, count: int, seed: int) -> Path:
    """Texts whose label is what one of the three students says, mostly the TA."""
    texts = sentences(count, seed)
    ids = checkpoint.tokenizer.encode(texts)
    answers = {
        name: checkpoint.model(PackedBatch.of(ids, s.spec)).argmax(-1).tolist()
        for name, s in checkpoint.students.items()
    }
    rng = random.Random(seed + 1)
    judges = rng.choices(["ta", "small", "tiny"], weights=[0.9, 0.07, 0.03], k=count)
    lines = [
        json.dumps({"text": text, "label": LABELS[answers[judge][row]]})
        for row, (text, judge) in enumerate(zip(texts, judges, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class Run:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What a failed command said: one line, exit status 2, no traceback."""
        assert self.status == 2, self.out
        lines = without_progress(self.err).strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


Nestling = Callable[..., Run]


@pytest.fixture
def nestling(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nestling:
    """The command line, in this process: starting one anew for each command takes seconds."""

    def run(*arguments: str | Path) -> Run:
        monkeypatch.setattr(sys, "argv", ["nestling", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        said = capsys.readouterr()
        return Run(status, said.out, said.err)

    return run


def test_from_calibration_to_export(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    path = checkpoint.path
    validation = write_data(checkpoint, tmp_path / "validation.jsonl", 900, 1)
    test = write_data(checkpoint, tmp_path / "test.jsonl", 300, 2)
    oos = tmp_path / "oos.jsonl"
    oos.write_text(json.dumps({"text": "set alarm"}) + "\n")

    run = nestling("calibrate", path, "--data", validation, "--max-drop", "0.3")
    assert run.status == 0, run.err
    assert "cascade drop-0.3" in " ".join(run.out.split())
    first = load_checkpoint(path)
    assert first.default == "drop-0.3"
    guarantee = first.cascades["drop-0.3"].guarantee
    assert guarantee is not None
    assert guarantee.data_sha256 == sha256_of(validation)
    assert guarantee.weights_sha256 == first.weights_sha256
    assert guarantee.observed_risk < guarantee.alpha == 0.3
    kept = first.cascades["drop-0.3"].path
    assert kept is not None
    assert kept.steps[kept.chosen].risk == guarantee.observed_risk
    assert kept.steps[0].thresholds[:-1] == (1,) * (len(kept.steps[0].thresholds) - 1)
    assert guarantee.examples + guarantee.ordering_examples == 900
    assert all(s.temperature != 1 for s in first.students.values())

    page = tmp_path / "page.html"
    more = ["--loss", "disagreement", "--max-drop", "0.5", "--name", "quick", "--report", str(page)]
    run = nestling("calibrate", path, "--data", validation, *more)
    assert run.status == 0, run.err
    second = load_checkpoint(path)
    assert f"{page}: written" in run.out
    for shown in ("quick", sha256_of(validation), second.weights_sha256, shlex.join(more)):
        assert shown in page.read_text()
    assert list(second.cascades) == ["drop-0.3", "quick"]
    assert second.default == "drop-0.3"
    assert second.cascades["drop-0.3"] == first.cascades["drop-0.3"]
    assert second.students == first.students

    out = tmp_path / "report"
    run = nestling("evaluate", path, "--data", test, "--out", out, "--out-of-scope", oos,
                   "--sample", "64", "--repeats", "2")  # fmt: skip
    assert run.status == 0, run.err
    report = json.loads((out / "report.json").read_text())
    assert not (path / "report.json").exists()
    assert [p["name"] for p in report["policies"]] == ["tiny", "small", "ta", "drop-0.3", "quick"]
    assert report["data"] == {"file": "test.jsonl", "examples": 300, "sha256": sha256_of(test)}
    ta = report["policies"][2]
    assert ta["relative_flops"] == ta["relative_seconds"] == 1
    assert ta["breakage"] == ta["recovery"] == ta["drop"] == 0
    for policy in report["policies"]:
        assert policy["breakage"] - policy["recovery"] == pytest.approx(policy["drop"])
        assert sum(policy["shares"].values()) == pytest.approx(1)
    assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "frontier.html").read_text()
    assert "drop-0.3" in page
    assert 'src="http' not in page

    run = nestling("info", path)
    assert run.status == 0, run.err
    for word in ("tiny", "drop-0.3", "quick", first.weights_sha256):
        assert word in run.out
    assert nestling("export", path, "--student", "small", "--out", tmp_path / "hf").status == 0
    assert (tmp_path / "hf" / "model.safetensors").is_file()


def test_a_student_that_loses_nothing_on_balance_is_calibrated_and_recorded(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    """All students of an untrained model are about equally often right."""
    path, page = checkpoint.path, tmp_path / "page.html"
    data = write_data(checkpoint, tmp_path / "data.jsonl", 900, 1)
    options = ("--data", data, "--max-drop", "0.4", "--loss", "net", "--report", page)
    run = nestling("calibrate", path, *options)
    assert run.status == 0, run.err
    said = " ".join(run.out.split())
    assert "Observed risk (net against the TA in float32): " in said
    assert " recoveries in " in said
    loaded = load_checkpoint(path)
    cascade = loaded.cascades[loaded.default]
    assert cascade.name == "net-0.4"
    assert [stage.student.name for stage in cascade.stages] == ["tiny"]
    assert cascade.stages[0].threshold == 0
    guarantee = cascade.guarantee
    assert guarantee is not None
    assert (guarantee.loss, guarantee.alpha) == ("net", 0.4)
    assert guarantee.observed_risk < 0.4
    for shown in ("below the TA's", "recoveries, with which so many are", "always"):
        assert shown in page.read_text()

    oos, out = tmp_path / "oos.jsonl", tmp_path / "report"
    oos.write_text(json.dumps({"text": "set alarm"}) + "\n")
    run = nestling("evaluate", path, "--data", data, "--out", out, "--out-of-scope", oos,
                   "--sample", "64", "--repeats", "2")  # fmt: skip
    assert run.status == 0, run.err
    *_, found = json.loads((out / "report.json").read_text())["policies"]
    assert (found["name"], found["kind"], found["out_of_scope"]) == ("net-0.4", "cascade", 0)
    assert found["loss"] == pytest.approx(found["drop"])
    assert "promised ≤ 40.00%" in " ".join(run.out.split())


@pytest.mark.slow
def test_int8_has_a_calibration_of_its_own(
    checkpoint: Checkpoint,
    nestling: Nestling,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = checkpoint.path
    data = write_data(checkpoint, tmp_path / "data.jsonl", 500, 1)
    target = ("--data", data, "--max-drop", "0.4")
    assert nestling("calibrate", path, *target, "--name", "c").status == 0
    exact = load_checkpoint(path)
    choice = choose(INT8, exact)
    assert choice.runner.manifest.cascades == {}
    assert f"`nestling calibrate {path} --data FILE --precision int8` makes" in caplog.text

    run = nestling("calibrate", path, *target, "--name", "c", "--runner", INT8)
    assert run.status == 0, run.err
    assert load_checkpoint(path).cascades == exact.cascades
    assert load_checkpoint(path).students == exact.students
    rounded = calibrated_for(exact, "int8")
    assert rounded.cascades["c"].guarantee.reference == "float32"
    assert rounded.default == "c"
    assert rounded.cascades.keys() == exact.cascades.keys()
    assert rounded.cascades != exact.cascades
    caplog.clear()
    choice = choose(INT8, load_checkpoint(path))
    assert choice.runner.manifest.cascades == rounded.cascades
    assert caplog.text == ""

    out = tmp_path / "report"
    run = nestling("evaluate", path, "--data", data, "--out", out, "--runner", INT8,
                   "--sample", "32", "--repeats", "2")  # fmt: skip
    assert run.status == 0, run.err
    assert json.loads((out / "report.json").read_text())["runner"] == INT8
    assert list(path.glob("report*")) == []  # kept only when asked: tests/cli/test_evaluate.py
    assert "Cascades in int8" in nestling("info", path).out
    calibration = path / "calibration.onnx-int8.json"
    calibration.write_text(calibration.read_text().replace("0.4", "0.3"))
    assert f"{calibration}: its content does not match" in nestling("info", path).complaint


def test_what_is_tested_is_what_is_served(checkpoint: Checkpoint, tmp_path: Path) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 700, 5)
    texts = [json.loads(line)["text"] for line in data.read_text().splitlines()]
    truth = truth_of(data)
    predictions = predict_all(checkpoint, texts, data)
    target = RiskTarget(0.2, 0.9)
    sha256 = sha256_of(data)
    result = calibrate(checkpoint, predictions, truth, target, "c", sha256, MARGIN, BY)
    write_calibration(checkpoint, result.temperatures, {"c": result.cascade}, "c")
    loaded = load_checkpoint(checkpoint.path)
    decisions = Predictor(loaded).predict(texts)
    answers = answer(predictions, loaded.cascades["c"])
    assert [len(d.steps) - 1 for d in decisions] == answers.stage.tolist()
    assert [d.answer.label for d in decisions] == answers.label.tolist()
    assert [d.flops for d in decisions] == pytest.approx(answers.flops.tolist())
    forecast = loaded.cascades["c"].forecast
    assert forecast is not None
    shares = torch.bincount(answers.stage, minlength=len(loaded.cascades["c"].stages)) / len(texts)
    assert list(forecast.shares) == pytest.approx(shares.tolist())
    whole = predictions.flops(loaded.ta).mean().item()
    assert forecast.relative_flops == pytest.approx(answers.flops.mean().item() / whole)


def truth_of(path: Path) -> Tensor:
    labels = [json.loads(line)["label"] for line in path.read_text().splitlines()]
    return torch.tensor([LABELS.index(label) for label in labels])


def test_the_same_file_gives_the_same_thresholds(checkpoint: Checkpoint, tmp_path: Path) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 500, 5)
    texts = [json.loads(line)["text"] for line in data.read_text().splitlines()]
    predictions = predict_all(checkpoint, texts, data)
    first, second = (
        calibrate(checkpoint, predictions, truth_of(data), RiskTarget(0.2), "c", "ab" * 32, MARGIN)
        for _ in range(2)
    )
    assert (first.cascade, first.temperatures) == (second.cascade, second.temperatures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-drop", "1.5"], "nestling: --max-drop: 1.5 is above 0.99999"),
        (["--confidence", "95"], "nestling: --confidence: 95 is above 0.99999"),
        (["--loss", "none"], "nestling: loss: 'none' is none of drop, net, disagreement"),
        (["--name", "ta"], "nestling: name: 'ta' already names a policy of this checkpoint"),
        (["--max-drop", "0.001"], "60 examples are too few to show a risk of at most 0.10% with "
         "95% confidence, even without a single loss: it takes 3,"),
        (["--name", "a/b"], "nestling: name: cascade 'a/b': its name is not of the form ["),
        (["--label-column", "intent"], "no column 'intent'; there are text, label"),
    ],
)  # fmt: skip
def test_calibrate_complains_in_one_line(
    checkpoint: Checkpoint,
    nestling: Nestling,
    tmp_path: Path,
    arguments: Sequence[str],
    message: str,
) -> None:
    data = write_data(checkpoint, tmp_path / "data.jsonl", 60, 1)
    run = nestling("calibrate", checkpoint.path, "--data", data, *arguments)
    assert message in run.complaint
    assert not (checkpoint.path / "calibration.json").exists()


def test_calibrate_says_what_would_be_needed(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    """Students that are wrong however sure they are."""
    data = tmp_path / "data.jsonl"
    texts = sentences(500, 3)
    ta = checkpoint.model(
        PackedBatch.of(checkpoint.tokenizer.encode(texts), checkpoint.ta.spec)
    ).argmax(-1)
    lines = [json.dumps({"text": t, "label": LABELS[i]}) for t, i in zip(texts, ta, strict=True)]
    data.write_text("\n".join(lines))
    said = nestling("calibrate", checkpoint.path, "--data", data, "--max-drop", "0.01").complaint
    assert "no thresholds keep the drop below 1.00% with 95% confidence" in said or (
        "no cascade is cheaper than the TA on these data" in said
    )


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_an_unknown_label(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path, command: str
) -> None:
    data = tmp_path / "data.jsonl"
    out = ["--out", tmp_path / "out"] if command == "evaluate" else []
    data.write_text('{"text": "play", "label": "music"}\n{"text": "book", "label": "poetry"}\n')
    said = nestling(command, checkpoint.path, "--data", data, *out).complaint
    assert said == (
        f"nestling: {data}: row 2: label 'poetry' is none of the 5 known labels, "
        "alarm, money, music, translate, weather"
    )


def test_a_long_text_is_taken_by_its_beginning(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"text": "play " * 50, "label": "music"}) + "\n")
    done = nestling("evaluate", checkpoint.path, "--data", data, "--sample", 32, "--repeats", 2)
    assert done.status == 0
    assert f"warning: {data}: 1 of 1 texts have more than 40 tokens; what follows" in done.err


@pytest.mark.parametrize("command", ["info", "export"])
def test_a_broken_checkpoint(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path, command: str
) -> None:
    more = ["--student", "tiny", "--out", tmp_path / "out"] if command == "export" else []
    with (checkpoint.path / "model.safetensors").open("ab") as file:
        file.write(b"x")
    said = nestling(command, checkpoint.path, *more).complaint
    assert said.startswith(f"nestling: {checkpoint.path / 'model.safetensors'}: its sha256 is")


def test_macro_f1_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    generator = torch.Generator().manual_seed(0)
    label, truth = torch.randint(0, 9, (2, 80), generator=generator)
    macro = f1_score(truth, label, average="macro")
    assert task_with(9).f1(label, truth) == {"macro_f1": pytest.approx(macro)}
    found = task_with(9).f1(torch.tensor([3, 3]), torch.tensor([3, 5]))
    assert found == {"macro_f1": pytest.approx(1 / 3)}


def test_costs_of_an_outcome_follow_the_length(checkpoint: Checkpoint) -> None:
    from nestling.models.calibration.gather import gather

    texts = sentences(50, 0)
    predictions = predict_all(checkpoint, texts, "texts")
    reference = predictions.labels("ta")
    cost = seconds_of(BY, predictions.students, lengths := list(map(len, predictions.sequences)))
    evidence = gather(
        predictions, reference, dict.fromkeys(SECONDS, 1.0), Score.MARGIN, cost, MARGIN
    )
    assert not evidence.loss[-1].any()
    for row, name in enumerate(("tiny", "small", "ta")):
        assert evidence.cost[row].mean() == pytest.approx(SECONDS[name] * np.mean(lengths))
    everything = outcome(evidence, torch.tensor([[1.0, 1.0, 0.0]]).double().numpy())
    assert everything.cost[0] == pytest.approx(sum(SECONDS.values()) * np.mean(lengths))
