"""A calibration for int8 holds for one way to round: another one gives other logits."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestling.models import Checkpoint
from nestling.models.cascade.policy import Cascade, Stage
from nestling.models.checkpoint.integrity import read_hashed_json, write_hashed_json
from nestling.models.checkpoint.manifest import calibrated_for, read_manifest
from nestling.models.checkpoint.save import write_calibration

from ...conftest import tiny_model, write_changed


@pytest.fixture
def file(checkpoint: Checkpoint) -> Path:
    """The calibration for int8 of a checkpoint of its own, with one cascade."""
    path = write_changed(checkpoint.path, tiny_model())
    manifest = read_manifest(path)
    stages = (Stage(manifest.students["tiny"], 0.5), Stage(manifest.ta, 0.0))
    write_calibration(manifest, {"tiny": 2.0}, {"c": Cascade("c", stages)}, "c", "int8")
    return path / "calibration.onnx-int8.json"


def test_it_says_how_weights_were_rounded(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = calibrated_for(read_manifest(file.parent), "int8")
    assert (found.default, list(found.cascades)) == ("c", ["c"])
    assert found.students["tiny"].temperature == 2.0
    assert caplog.text == ""


@pytest.mark.parametrize("levels", [None, 127])
def test_one_of_another_rounding_counts_as_none(
    file: Path, levels: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    data = read_hashed_json(file)
    assert data.pop("weight_levels") == 64
    write_hashed_json(file, data if levels is None else data | {"weight_levels": levels})
    manifest = read_manifest(file.parent)
    found = calibrated_for(manifest, "int8")
    assert (found.default, found.cascades) == ("ta", {})
    assert found.students == manifest.students
    assert (
        f"{file}: is not used: it was made with weights that were rounded otherwise" in caplog.text
    )


def test_other_precisions_have_no_such_field(file: Path) -> None:
    manifest = read_manifest(file.parent)
    write_calibration(manifest, {}, {}, "ta", "bfloat16")
    assert "weight_levels" not in read_hashed_json(file.with_name("calibration.bfloat16.json"))
