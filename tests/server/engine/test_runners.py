"""ONNX Runtime behind the engine's interface, and the choice among runners."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from nestling.kernels.gate.reference import MARGINS
from nestling.models import Checkpoint, NestlingError, Predictor, load_checkpoint
from nestling.models.nested.batch import PackedBatch
from nestling.models.runners import RunnerName, choose
from nestling.models.runners.onnx import extra
from nestling.models.runners.onnx.runner import OnnxRunner
from nestling.models.runners.torch import TorchRunner
from nestling.server.settings import Settings

from ..serving import serve


@pytest.fixture(scope="module")
def onnx(calibrated: Checkpoint) -> OnnxRunner:
    return OnnxRunner(calibrated)


def mixed(checkpoint: Checkpoint, texts: list[str]) -> PackedBatch:
    """A run of texts for each student, and one of none."""
    ids = checkpoint.tokenizer.encode(texts)
    tiny, small, ta = (student.spec for student in checkpoint.students.values())
    return PackedBatch.mixed([(ids[:7], small), ([], tiny), (ids[7:8], tiny), (ids[8:], ta)])


def test_a_mixed_batch_gets_the_logits_of_torch(
    calibrated: Checkpoint, onnx: OnnxRunner, texts: list[str]
) -> None:
    batch = mixed(calibrated, texts)
    logits, expected = onnx.logits(batch), calibrated.model(batch)
    assert logits.dtype == torch.float32
    assert logits.shape == expected.shape
    assert ((logits - expected).norm() / expected.norm()).item() < 1e-5


def test_cascades_take_the_same_way(
    calibrated: Checkpoint, onnx: OnnxRunner, texts: list[str]
) -> None:
    expected = Predictor(calibrated).predict(texts)
    answers = Predictor(calibrated, runner=onnx).predict(texts)
    for answer, reference in zip(answers, expected, strict=True):
        assert route(answer) == route(reference)
        near = pytest.approx(reference.answer.confidence, abs=MARGINS[torch.float32])
        assert answer.answer.confidence == near


def route(decision: object) -> list[tuple[str, int, bool]]:
    steps = decision.steps  # type: ignore[attr-defined]
    return [(step.stage.student.name, step.label, step.accepted) for step in steps]


def test_it_runs_no_student_of_another_checkpoint(
    calibrated_dir: Path, onnx: OnnxRunner, texts: list[str]
) -> None:
    with pytest.raises(NestlingError, match="a student of another checkpoint"):
        onnx.logits(mixed(load_checkpoint(calibrated_dir), texts))


def test_names_the_providers_that_there_are(calibrated: Checkpoint) -> None:
    message = "'MoonExecutionProvider' is not in this build of ONNX Runtime, which has .*CPU"
    with pytest.raises(NestlingError, match=message):
        OnnxRunner(calibrated, providers=("MoonExecutionProvider", "CPUExecutionProvider"))


def test_vectors_are_those_of_torch(
    calibrated: Checkpoint, onnx: OnnxRunner, texts: list[str]
) -> None:
    ids = calibrated.tokenizer.encode(texts[:20])
    reference, rounded = TorchRunner(calibrated), OnnxRunner(calibrated, "int8")
    for student in calibrated.students:
        for dimensions in (32, 7):
            expected = reference.embed(ids, student, dimensions)
            for runner in (onnx, rounded):  # which keeps them in float32
                vectors = runner.embed(ids, student, dimensions)
                assert vectors.shape == expected.shape
                assert np.abs(vectors - expected).max() < 1e-5


def test_a_runner_that_is_not_installed_says_what_installs_it(
    calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (extra, choose):
        monkeypatch.setattr(where, "find_spec", lambda _: None)
    for name, said in (("onnx", "[cpu]"), ("onnx-int8", "[cpu]"), ("torch", "[torch]")):
        with pytest.raises(NestlingError, match=re.escape(f"pip install '.{said}' in")):
            choose.choose(name, calibrated)


@pytest.mark.slow
def test_a_server_on_int8_offers_students_alone(calibrated_dir: Path, tmp_path: Path) -> None:
    with serve(calibrated_dir, tmp_path / "log", "--runner", "onnx-int8") as server:
        assert "onnx-int8" in server.greeting
        assert "the thresholds of all, short were calibrated on float32 logits" in server.log
        assert f"`nestling calibrate {calibrated_dir} --data FILE --precision int8`" in server.log
        assert server.classify("play some music")["decision"]["student"] == "ta"
        assert server.classify("play some music", model="tiny")["label"]
        refused = server.client.post("/v1/classify", json={"inputs": "x", "model": "all"})
        assert refused.status_code == 404


def test_an_unknown_runner_hears_of_those_that_there_are(calibrated: Checkpoint) -> None:
    with pytest.raises(NestlingError, match="runner: 'jax' is none of auto, torch, onnx, onnx-int"):
        choose.choose("jax", calibrated)


def test_settings_name_the_runners() -> None:
    assert get_args(RunnerName) == ("auto", *choose.RUNNERS)
    with pytest.raises(NestlingError, match="runner: 'jax' is none of auto, torch, onnx, onnx-int"):
        Settings(runner="jax")
    with pytest.raises(NestlingError, match="runner: onnx does not go with dtype bfloat16"):
        Settings(runner="onnx", dtype="bfloat16")


def test_a_server_on_torch_loads_neither_onnx_nor_a_compiler(calibrated_dir: Path) -> None:
    unwanted = ("onnx", "onnxruntime", "torch._dynamo", "torch._inductor", "triton")
    code = (
        "import sys, nestling.models.runners.choose\n"
        "from nestling.models import load_checkpoint\n"
        "from nestling.models.runners.torch import TorchRunner\n"
        f"TorchRunner(load_checkpoint({str(calibrated_dir)!r}))\n"
        f"print([name for name in {unwanted!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
