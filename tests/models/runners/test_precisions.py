"""In which precision a checkpoint is served, and by whose thresholds."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestling.models import Cascade, Checkpoint, CheckpointError, Stage
from nestling.models.checkpoint.manifest import calibrated_for, read_manifest
from nestling.models.checkpoint.save import write_calibration
from nestling.models.precision import Precision
from nestling.models.runners.base import ModelRunner
from nestling.models.runners.choose import RunnerOptions, choose, dtype_for


def calibrate(checkpoint: Checkpoint, precision: Precision, threshold: float) -> None:
    """Its one cascade, and a temperature that tells it from others."""
    stages = (Stage(checkpoint.students["tiny"], threshold), Stage(checkpoint.ta, 0.0))
    cascades = {"c": Cascade("c", stages)}
    write_calibration(checkpoint, {"tiny": 1 + threshold}, cascades, "c", precision)


@pytest.mark.parametrize(
    ("wanted", "device", "calibrated", "expected"),
    [
        ("auto", "cpu", True, "float32"),
        ("auto", "cuda:1", False, "float32"),
        ("auto", "cuda:1", True, "bfloat16"),
        ("float32", "cuda:0", True, "float32"),
        ("float16", "cpu", False, "float16"),
        ("bfloat16", "cuda:0", False, "bfloat16"),
    ],
)
def test_auto_is_bfloat16_on_a_gpu_if_the_checkpoint_is_calibrated_for_it(
    checkpoint: Checkpoint, wanted: str, device: str, calibrated: bool, expected: str
) -> None:
    if calibrated:
        calibrate(checkpoint, "bfloat16", 0.5)
    assert dtype_for(wanted, device, checkpoint.path) == expected


def served(path: Path, runner: str, dtype: str = "auto") -> ModelRunner:
    return choose(runner, read_manifest(path), RunnerOptions(dtype=dtype)).runner


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("runner", ["torch", "auto"])
def test_each_precision_serves_by_its_own_thresholds(
    checkpoint: Checkpoint, precision: Precision, runner: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = checkpoint.path
    calibrate(checkpoint, "float32", 0.25)
    alone = served(path, runner, precision)
    assert alone.precision == precision
    assert (alone.manifest.cascades, alone.manifest.default) == ({}, "ta")
    assert len(alone.manifest.policy("auto").stages) == 1
    said = f"`nestling calibrate {path} --data FILE --precision {precision}` makes cascades for it"
    assert said in caplog.text
    caplog.clear()

    calibrate(checkpoint, precision, 0.75)
    own = served(path, runner, precision)
    assert own.manifest.cascades["c"].stages[0].threshold == 0.75
    assert own.manifest.students["tiny"].temperature == 1.75
    exact = served(path, "torch")
    assert exact.precision == "float32"
    assert exact.manifest.cascades["c"].stages[0].threshold == 0.25
    assert "thresholds" not in caplog.text


def test_a_calibration_that_is_damaged_is_named(checkpoint: Checkpoint) -> None:
    calibrate(checkpoint, "bfloat16", 0.5)
    file: Path = checkpoint.path / "calibration.bfloat16.json"
    file.write_text(file.read_text().replace("0.5", "0.1"))
    with pytest.raises(CheckpointError, match=r"calibration\.bfloat16\.json: its content does not"):
        calibrated_for(checkpoint, "bfloat16")
    with pytest.raises(CheckpointError, match=r"calibration\.bfloat16\.json"):
        served(checkpoint.path, "torch", "bfloat16")
    assert served(checkpoint.path, "torch").precision == "float32"
