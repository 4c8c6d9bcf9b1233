"""A profile that nobody measured, whose numbers are easy to reckon with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nestling.capacity.profile.costs import (
    ClientCosts,
    Costs,
    EngineCosts,
    LoopCosts,
    Speeds,
    StudentCost,
    WorkerCosts,
)
from nestling.capacity.profile.profile import Profile
from nestling.capacity.profile.workload import StudentConfidences, Workload
from nestling.capacity.simulation.inputs import SimulationInput
from nestling.models.checkpoint.manifest import Manifest, read_manifest
from nestling.server.settings import Settings

from ..server.conftest import calibrated, calibrated_dir, texts

__all__ = ["calibrated", "calibrated_dir", "texts"]

SURE = (0.999, 0.001)
"""Of every student: of the first text, of the second, and so on in turns."""


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations of a sixth of the requests, for tests that are not about their numbers."""
    for name in ("LEAST", "FULL"):
        monkeypatch.setattr(f"nestling.capacity.bounds.{name}", 500)


@pytest.fixture
def manifest(calibrated_dir: Path) -> Manifest:
    """Students tiny, small and ta; cascades all and short."""
    return read_manifest(calibrated_dir)


def costs(seconds: float, text: float = 0.0, token: float = 0.0) -> Costs:
    """Nothing takes time but a batch: `seconds`, and for each of its texts and of their tokens."""
    cost = StudentCost(seconds, text, token, 0.0)
    return Costs(
        loop=LoopCosts(0.0, 0.0, 0.0, 0.0, 0.0),
        engine=EngineCosts(0.0, 0.0),
        worker=WorkerCosts(dict.fromkeys(("tiny", "small", "ta"), cost), False),
        client=ClientCosts(0.0, 0.0),
        cooling=0.001,
        wake=0.0,
        speeds=Speeds(),
    )


def workload(manifest: Manifest, lengths: tuple[int, ...] = (5, 9)) -> Workload:
    """Every other text is easy. lengths: their tokens."""
    stages = [stage.student for c in manifest.cascades.values() for stage in c.stages]
    asked = {(s.name, s.temperature) for s in (*stages, *manifest.students.values())}
    sure = tuple(SURE[row % 2] for row in range(len(lengths)))
    stated = tuple(
        StudentConfidences(name, temperature, sure) for name, temperature in sorted(asked)
    )
    return Workload("texts.jsonl", "0" * 64, 1e-5, lengths, stated)


@pytest.fixture
def profile(manifest: Manifest) -> Profile:
    """A millisecond for a batch, one for each text in it, and one of HTTP for each request."""
    base = costs(0.001, text=0.001)
    return Profile(
        schema=1,
        measured=True,
        name="made-up",
        date="2026-01-01T00:00:00+00:00",
        command="none",
        hardware={"cpu": "none", "cores": 2},
        versions={},
        device="cpu",
        runner="torch",
        threads=1,
        checkpoint=manifest.path.name,
        weights_sha256=manifest.weights_sha256,
        costs=replace(base, loop=LoopCosts(1e-3, 0.0, 0.0, 0.0, 1e-5)),
        fit=[],
        workload=workload(manifest),
    )


def inputs(
    manifest: Manifest, costs: Costs, model: str = "ta", **settings: float
) -> SimulationInput:
    """One server at these costs."""
    return SimulationInput(
        manifest,
        Settings(**settings),
        costs,
        workload(manifest),
        model,  # type: ignore[arg-type]
    )
