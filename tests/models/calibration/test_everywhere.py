"""The same file gives the same routes on every machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ...test_processors import OLD

ROOT = Path(__file__).parents[3]
TEXTS = 450


@pytest.mark.slow
def test_an_old_processor_finds_the_same(tmp_path: Path) -> None:
    """Stages and temperatures are equal, thresholds too; and each text is answered by the same
    student, in the arithmetic of the processor that serves."""
    lines = (ROOT / "examples" / "clinc150" / "validation.jsonl").read_text("utf-8").splitlines()
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(lines[:: len(lines) // TEXTS][:TEXTS]), "utf-8")
    first = calibrated(tmp_path / "here", data, {"OMP_NUM_THREADS": "1"})
    other = calibrated(tmp_path / "old", data, OLD)
    assert len(first["stages"]) > 1
    assert len(set(first["routes"])) > 1
    for ours, theirs in zip(first["stages"], other["stages"], strict=True):
        assert theirs == {**ours, "threshold": pytest.approx(ours["threshold"], abs=1e-6)}
    assert {**other, "stages": None} == {**first, "stages": None}


def calibrated(path: Path, data: Path, environment: dict[str, str]) -> dict[str, Any]:
    shutil.copytree(str(files("nestling.models") / "zoo" / "clinc150"), path)
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.calibration.everywhere", path, data],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
