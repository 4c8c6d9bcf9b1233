"""Noise is stated, and what is too noisy is not kept; tables by default, JSON when asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nestling.models.checkpoint.integrity import read_hashed_json
from nestling.models.evaluation.timing import Seconds

from .conftest import Nestling, everything_in


@pytest.fixture(params=[0.05, 1.7], ids=["at rest", "busy"])
def spread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """What a machine's times vary by, as if measured."""
    found = float(request.param)

    def measure(_: object, policies: Any, *__: object) -> dict[str, Seconds]:
        return {each.name: Seconds(1e-3, 1e-3, 1e-3 * (1 + found)) for each in policies}

    monkeypatch.setattr("nestling.models.evaluation.accuracy.measure", measure)
    return found


@pytest.mark.parametrize("runner", ["torch", pytest.param("onnx-int8", marks=pytest.mark.slow)])
def test_only_steady_times_are_kept_and_only_when_asked(
    nestling: Nestling, checkpoint_dir: Path, data: Path, tmp_path: Path, spread: float, runner: str
) -> None:
    out, before = tmp_path / "out", everything_in(checkpoint_dir)
    words = ("evaluate", checkpoint_dir, "--data", data, "--out", out, "--runner", runner)
    shown = nestling(*words)
    assert shown.exit_code == 0, shown.stderr
    assert f"{spread:.0%}" in shown.stdout
    assert ("The machine was not at rest" in shown.stdout) == (spread > 0.2)
    assert "{" not in shown.stdout
    report = json.loads((out / "report.json").read_text())
    assert report["timing"]["widest_spread"] == pytest.approx(spread)
    assert everything_in(checkpoint_dir) == before

    kept = nestling(*words, "--keep", "--json")
    report = json.loads(kept.stdout)
    assert json.loads((out / "report.json").read_text()) == report
    if spread > 0.2:
        assert kept.exit_code == 1
        assert "--keep: nothing is kept: a time varied by 170%" in kept.stderr
        assert everything_in(checkpoint_dir) == before
    else:
        assert kept.exit_code == 0, kept.stderr
        name = "report.json" if runner == "torch" else "report.onnx-int8.json"
        assert read_hashed_json(checkpoint_dir / name) == report
