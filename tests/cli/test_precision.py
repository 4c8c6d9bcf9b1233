"""`nestling calibrate --precision` and its relatives, on a machine without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nestling.models import Checkpoint, load_checkpoint
from nestling.models.checkpoint.integrity import SCHEMA, write_hashed_json
from nestling.models.checkpoint.manifest import calibrated_for
from nestling.models.device import CPU
from nestling.models.evaluation.timing import Seconds
from nestling.models.precision import Precision
from nestling.models.runners.torch import TorchRunner
from nestling.server import build

from .conftest import Nestling, complaint, everything_in
from .test_models import checkpoint, write_data

__all__ = ["checkpoint"]  # a model whose answers differ from text to text
SECONDS = {"tiny": 1e-5, "small": 3e-5, "ta": 1e-3}


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a machine at rest would take."""

    def measure(_: object, policies: Any, *__: object, **___: object) -> dict[str, Seconds]:
        return {each.name: Seconds(*[SECONDS.get(each.name, 5e-4)] * 3) for each in policies}

    for module in ("accuracy", "timing"):
        monkeypatch.setattr(f"nestling.models.evaluation.{module}.measure", measure)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_gets_thresholds_of_its_own(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path, precision: Precision
) -> None:
    path = checkpoint.path
    data = write_data(checkpoint, tmp_path / "data.jsonl", 500, 1)
    before = everything_in(path)
    words = ("--data", data, "--max-drop", "0.3", "--name", "c")
    run = nestling("calibrate", path, *words, "--precision", precision)
    assert run.exit_code == 0, run.stderr
    assert f"{precision} is emulated on the CPU, since there is no GPU" in run.stderr
    file = f"calibration.{precision}.json"
    assert everything_in(path).keys() - before.keys() == {file}
    half = calibrated_for(load_checkpoint(path), precision)
    assert half.default == "c"
    assert half.cascades["c"].guarantee.reference == "float32"
    assert "Observed risk (drop against the TA in float32)" in run.stdout
    assert load_checkpoint(path).cascades == {}

    assert nestling("calibrate", path, *words).exit_code == 0
    exact = load_checkpoint(path)
    assert exact.cascades["c"].stages != half.cascades["c"].stages
    assert calibrated_for(exact, precision).cascades == half.cascades
    shown = nestling("info", path).stdout
    assert "Cascades in float32" in shown
    assert f"Cascades in {precision}" in shown

    out = tmp_path / "out"
    words = ("--data", data, "--sample", "32", "--repeats", "2", "--out", out, "--keep")
    run = nestling("evaluate", path, *words, "--precision", precision)
    assert run.exit_code == 0, run.stderr
    report = json.loads((path / f"report.{precision}.json").read_text())
    assert (report["runner"], report["precision"]) == ("torch", precision)
    assert report["policies"][-1]["name"] == "c"
    assert not (path / "report.json").exists()


@pytest.mark.parametrize("command", ["calibrate", "evaluate", "replay"])
def test_a_precision_and_a_runner_that_contradict_each_other(
    nestling: Nestling, checkpoint_dir: Path, data: Path, command: str
) -> None:
    file = ("--log" if command == "replay" else "--data", data)
    before = everything_in(checkpoint_dir)
    for words, said in (
        (("--runner", "onnx-int8", "--precision", "bfloat16"), "bfloat16 does not go with the ru"),
        (("--runner", "torch", "--precision", "int8"), "int8 does not go with the runner torch"),
        (("--precision", "int4"), "precision: 'int4' is none of float32, bfloat16, float16, int8"),
        (("--runner", "onnx"), "runner: 'onnx' is none of torch, onnx-int8"),
    ):
        assert said in complaint(nestling(command, checkpoint_dir, *file, *words))
    assert everything_in(checkpoint_dir) == before


def test_a_gpu_computes_where_there_is_one(
    checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and nothing is emulated; without one to hand the weights stay on the CPU."""
    loaded: list[tuple[object, ...]] = []

    def load(path: Path, *arguments: object) -> Checkpoint:
        loaded.append(arguments)
        return load_checkpoint(path)

    monkeypatch.setattr("nestling.models.device.has_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr("nestling.models.checkpoint.load.load_checkpoint", load)
    for precision in ("bfloat16", "float32"):
        assert isinstance(build.load_for(checkpoint_dir, precision)[1], TorchRunner)
    assert loaded == [(torch.bfloat16, "cuda:0", None), (torch.float32, CPU, None)]


def test_a_measurement_names_a_wrong_device_before_it_computes(
    nestling: Nestling, checkpoint_dir: Path, data: Path, tmp_path: Path
) -> None:
    words = ("--data", data, "--out", tmp_path / "profile.json", "--device", "tpu")
    for given in ((), ("--precision", "bfloat16"), ("--runner", "onnx-int8")):
        run = nestling("plan", "measure", checkpoint_dir, *words, *given)
        assert complaint(run).startswith("nestling: device: 'tpu' is not here; available are cpu")
        assert "emulated" not in run.stderr


def test_a_calibration_that_cannot_be_used_is_named_first(
    checkpoint_dir: Path, nestling: Nestling
) -> None:
    path = checkpoint_dir
    file = path / "calibration.bfloat16.json"
    empty = {"temperatures": {}, "cascades": {}, "default": "ta"}
    write_hashed_json(file, {"schema": SCHEMA, "weights_sha256": "0" * 64, **empty})
    for words in (("info",), ("calibrate", "--precision", "bfloat16", "--data", "no.jsonl")):
        run = nestling(words[0], path, *words[1:])
        assert f"{file.name}: calibrated on other weights; remove it and cal" in complaint(run)
        assert run.stdout == ""
