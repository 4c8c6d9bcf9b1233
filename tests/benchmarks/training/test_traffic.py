"""The simulation of rounds of traffic: which refusals are results."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.training.sets.passes import NONE_FOUND
from benchmarks.training.traffic import command


@pytest.mark.parametrize("reason", NONE_FOUND)
def test_a_calibration_that_finds_none_is_a_result(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert line[:3] == [sys.executable, "-m", "nestling.cli"]
        return subprocess.CompletedProcess(line, 2, "", f"nestling: 9 texts: {reason} this")

    monkeypatch.setattr(subprocess, "run", run)
    assert command("calibrate", "checkpoint", may_refuse=NONE_FOUND).returncode == 2
    with pytest.raises(RuntimeError, match=reason):
        command("train")
