"""Files of hardware."""

from __future__ import annotations

import json
from dataclasses import replace
from errno import ENOSPC
from importlib.resources import files
from pathlib import Path

import pytest

from nestling.capacity.errors import PlanError
from nestling.capacity.profile.costs import WorkerCosts
from nestling.capacity.profile.estimate import Estimate
from nestling.capacity.profile.library import find, find_measured, names, read
from nestling.capacity.profile.profile import Profile
from nestling.models.checkpoint.manifest import Manifest, calibrated_for, read_manifest

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"


@pytest.mark.parametrize("name", names())
def test_what_ships_can_be_used_and_says_whether_it_was_measured(name: str) -> None:
    found = find(name)
    assert found.name == name
    if isinstance(found, Estimate):
        assert found.measured is False
        found = find_measured(found.host)
    assert found.measured is True
    found.check(calibrated_for(read_manifest(SHIPPED), found.computed_in))


def test_what_nobody_has_measured_is_an_estimate() -> None:
    assert isinstance(find("h200"), Estimate)


def test_a_profile_comes_back_as_it_was_written(profile: Profile, tmp_path: Path) -> None:
    profile.write(tmp_path / "mine.json")
    assert find(str(tmp_path / "mine.json")) == profile


def test_unknown_hardware_lists_what_there_is() -> None:
    with pytest.raises(PlanError, match="hardware: 'h900' is no file, and none of cpu-2-cores"):
        find("h900")


def test_an_estimate_cannot_be_the_host_of_another() -> None:
    with pytest.raises(PlanError, match="host: 'h200' is an estimate"):
        find_measured("h200")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema"),
        ({"threads": "two"}, "threads"),
        ({"surprise": 1}, "surprise"),
        ({"costs": {}}, "costs.loop"),
    ],
)
def test_a_damaged_profile_names_file_and_field(
    profile: Profile, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = tmp_path / "mine.json"
    profile.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PlanError, match=rf"mine.json: {said}"):
        find(str(path))


def test_what_is_no_json_is_no_profile(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text("{")
    with pytest.raises(PlanError, match="cannot be read as a hardware profile"):
        find(str(path))


def test_a_profile_of_other_weights_is_refused(profile: Profile, manifest: Manifest) -> None:
    with pytest.raises(PlanError, match="whose weights are 000000000000"):
        replace(profile, weights_sha256="0" * 64).check(manifest)


def test_a_profile_from_before_a_calibration_is_refused(
    profile: Profile, manifest: Manifest
) -> None:
    older = replace(profile.workload, stated=profile.workload.stated[:1])
    with pytest.raises(PlanError, match="was calibrated"):
        replace(profile, workload=older).check(manifest)


def test_padding_counts() -> None:
    assert WorkerCosts({}, True).tokens([3, 5]) == 10
    assert WorkerCosts({}, False).tokens([3, 5]) == 8


def test_a_profile_is_replaced_whole_or_not_at_all(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.json"
    file.write_text("of before", "utf-8")

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            profile.write(file)
    assert file.read_text("utf-8") == "of before"
    assert list(tmp_path.iterdir()) == [file]
    profile.write(file)
    assert read(file) == profile
