"""`nestling calibrate --cost time`: seconds that a profile states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nestling.capacity.errors import PlanError
from nestling.capacity.profile.library import SHIPPED
from nestling.capacity.profile.profile import Profile
from nestling.cli.costs import latency_model, time_model
from nestling.models import NestlingError
from nestling.models.calibration.cost import flops_of, seconds_of
from nestling.models.checkpoint.integrity import sha256_of
from nestling.models.checkpoint.manifest import Manifest
from nestling.models.evaluation.timing import BATCH
from nestling.models.latency.model import TimedBatch
from nestling.models.latency.timing import drawn


@pytest.fixture
def file(profile: Profile, tmp_path: Path) -> Path:
    profile.write(tmp_path / "profile.json")
    return tmp_path / "profile.json"


def test_seconds_are_those_of_a_full_batch(file: Path, manifest: Manifest) -> None:
    model = time_model("time", file, manifest, "float32")
    assert model is not None
    assert model.profile_sha256 == sha256_of(file)
    students = list(manifest.students.values())
    expected = 0.001 / BATCH + 0.001  # as the fixture has it: a batch, and a text in it
    assert seconds_of(model, students, [3, 9]) == pytest.approx(expected)
    assert flops_of(students, [3, 9])[-1].tolist() == [manifest.ta.flops.of(n) for n in (3, 9)]
    assert time_model("flops", None, manifest, "float32") is None


def test_what_is_no_cost_is_refused(
    file: Path, profile: Profile, manifest: Manifest, tmp_path: Path
) -> None:
    for cost, given, precision, message in [
        ("money", None, "float32", "cost: 'money' is none of flops, time"),
        ("time", None, "float32", "cost: time takes a --profile"),
        ("flops", file, "float32", "cost: time takes a --profile"),
        ("time", SHIPPED / "h200.json", "float32", "h200.json is an estimate"),
        ("time", file, "bfloat16", "was measured in float32; bfloat16 is calibrated"),
    ]:
        with pytest.raises(NestlingError, match=message):
            time_model(cost, given, manifest, precision)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="cannot be read as a hardware profile"):
        time_model("time", tmp_path / "none", manifest, "float32")
    replace(profile, weights_sha256="0" * 64).write(file)
    with pytest.raises(PlanError, match="whose weights are 000000000000"):
        time_model("time", file, manifest, "float32")


def test_a_profile_tells_the_time_of_any_student(
    file: Path, profile: Profile, manifest: Manifest
) -> None:
    assert latency_model("flops", None, manifest) is None
    with pytest.raises(NestlingError, match="was measured before profiles told how long other"):
        latency_model("time", file, manifest)
    specs = drawn(manifest.architecture)
    timings = tuple(TimedBatch(spec, 1, 9, 0.001 * len(spec.layers)) for spec in specs)
    replace(profile, timings=timings).write(file)
    model = latency_model("time", file, manifest)
    assert model is not None
    assert model.seconds(manifest.ta.spec, 1, 9) == pytest.approx(
        0.001 * manifest.architecture.layers, rel=0.2
    )
