"""Weights that a learning rate leads astray are taken back, and a smaller one is tried."""

from __future__ import annotations

import re

import pytest

from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.training import run
from nestling.models.training.loop import LoopSettings
from nestling.models.training.matta import JointTraining

from .conftest import Train, Workshop


def test_half_the_rate_is_tried(
    workshop: Workshop, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, rates, folders = run.optimise, [], []

    def optimise(objective: object, accelerator: object, progress: object, s: LoopSettings) -> int:
        if isinstance(objective, JointTraining):
            rates.append(objective.phase.learning_rate)
            folders.append(s.directory.name)
            if len(rates) < 3:
                return 0
        return real(objective, accelerator, progress, s)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "optimise", optimise)
    said = train().said
    assert rates == [rates[0], rates[0] / 2, rates[0] / 4]
    assert folders == ["students", "students-2", "students-3"]
    assert len(re.findall("begin anew, at half the learning rate", said)) == 2
    recipe = read_manifest(workshop.path / "out").provenance["recipe"]
    assert recipe["joint"]["learning_rate"] == rates[-1]
