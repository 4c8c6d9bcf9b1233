"""The simulation of rounds of traffic: which refusals are results."""

from __future__ import annotations

import json
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.training.sets.passes import NONE_FOUND
from benchmarks.training.traffic import measured, write_parts

REPORT = {
    "policies": [{"name": "ta", "accuracy": 0.9, "relative_flops": 1.0, "breakage": 0.0, "more": 1}]
}


def measure(calibrated: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A checkpoint whose calibration ends with that error."""

    def run(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if "calibrate" in line:
            return subprocess.CompletedProcess(line, 2, "", f"nestling: 9 texts: {calibrated} this")
        return subprocess.CompletedProcess(line, 0, json.dumps(REPORT), "")

    monkeypatch.setattr(subprocess, "run", run)
    given = Namespace(max_drop="0.01", test=Path("test.jsonl"))
    return measured(1, folder / "round-1", 0.0, given, {"calibration": Path("c.jsonl")})


@pytest.mark.parametrize("reason", NONE_FOUND)
def test_a_calibration_that_finds_none_is_a_result(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measure(reason, tmp_path, monkeypatch)
    accuracy = {"accuracy": 90.0, "relative_flops": 100.0, "breakage": 0.0}
    assert found["percent_on_test"] == {"ta": accuracy}


def test_any_other_failure_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="no such file"):
        measure("no such file", tmp_path, monkeypatch)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pairs", [False, True])
def test_parts_have_each_text_once_and_pairs_whole(tmp_path: Path, pairs: bool) -> None:
    data = tmp_path / "data.jsonl"
    second = {"text_pair": "and then"} if pairs else {}
    rows = [{"text": f"text {n}", **second, "label": "a"} for n in range(20)]
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    given = Namespace(data=data, work=tmp_path, seed=0, validating=2, calibrating=3, share=0.6,
                      labelled=0.0)  # fmt: skip
    files = write_parts(given)
    found = [
        json.loads(line)
        for name in ("validation", "calibration", "train", "traffic-3")
        for line in files[name].read_text().splitlines()
    ]
    assert sorted(row["text"] for row in found) == sorted(row["text"] for row in rows)
    assert all(row.keys() - {"label"} == {"text", *second} for row in found)
    assert ["label" in row for row in found] == 14 * [True] + 6 * [False]
