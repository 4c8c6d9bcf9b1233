"""What the watch's benchmark simulates in arrays is what the server does text by text."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest

from nestling.models.calibration.anytime import rate_bounds
from nestling.models.calibration.drift import BETS, DriftDetector
from nestling.server.core.guarantee_monitor import DELTA

ALPHA = 0.02
LOSSES = np.random.default_rng(0).random((3, 600)) < np.array([[0.01], [0.03], [0.2]])


@pytest.fixture
def program() -> ModuleType:
    return importlib.import_module("benchmarks.server.monitor")


def test_the_detector_is_the_servers(program: ModuleType) -> None:
    values, alarms = program.detected(np.zeros((3, BETS)), LOSSES, ALPHA)
    for stream, found in zip(LOSSES, alarms, strict=True):
        detector = DriftDetector(ALPHA)
        for lost, alarm in zip(stream, found, strict=True):
            detector.observe(bool(lost))
            assert detector.alarmed == alarm
            if alarm:
                break
    assert values[0].mean() == pytest.approx(detector_after(LOSSES[0]))
    assert alarms[2].any()


def detector_after(losses: np.ndarray) -> float:
    detector = DriftDetector(ALPHA)
    for lost in losses:
        detector.observe(bool(lost))
    return detector.evidence


def test_the_sequence_is_the_one_of_the_bounds(program: ModuleType) -> None:
    sums = np.zeros(3)
    first = program.refuted(LOSSES[:, :200], ALPHA, sums, 0)
    second = program.refuted(LOSSES[:, 200:], ALPHA, LOSSES[:, :200].sum(axis=1), 200)
    above = np.concatenate([first, second], axis=1)
    for stream, found in zip(LOSSES, above, strict=True):
        counts = np.cumsum(stream)
        bounds = [rate_bounds(int(c), n, DELTA)[0] for n, c in enumerate(counts, start=1)]
        assert (np.array(bounds) > ALPHA).tolist() == found.tolist()
    assert above[2].any()
    assert not above[0].all()


def test_of_a_text_that_comes_again_and_again_the_first_counts(program: ModuleType) -> None:
    assert program.first_times(10).tolist() == [True, *[False] * 4] * 2
