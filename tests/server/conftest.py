"""A calibrated checkpoint whose cascade uses every stage, and a server of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import pytest
import torch

from nestling.models import Cascade, Checkpoint, Predictor, Stage, load_checkpoint
from nestling.models.checkpoint.save import write_calibration, write_checkpoint

from ..conftest import WORDS, tiny_architecture, tiny_model, tiny_students, write_tokenizer
from .serving import Server, serve

TEMPERATURES = {"tiny": 1.3, "small": 1.1}


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Random sentences of many lengths."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS[4:], k=rng.randint(1, 30))) for _ in range(200)]


@pytest.fixture(scope="session")
def calibrated_dir(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    """Thresholds in the widest gaps, so that rounding never decides; a quarter reaches the TA."""
    folder = tmp_path_factory.mktemp("calibrated")
    path = folder / "tiny-intents"
    tokenizer = write_tokenizer(folder / "tokenizer.json")
    write_checkpoint(
        path,
        tiny_architecture(),
        tiny_students(),
        tiny_model().state_dict(),
        tokenizer,
        {"teacher": "none"},
        dtype=torch.float32,
    )
    write_calibration(load_checkpoint(path), TEMPERATURES, {}, "ta")
    checkpoint = load_checkpoint(path)
    stages = [
        Stage(checkpoint.students[name], median_gap(checkpoint, name, texts))
        for name in ("tiny", "small")
    ]
    stages.append(Stage(checkpoint.ta, 0.0))
    cascades = {
        "all": Cascade("all", tuple(stages)),
        "short": Cascade("short", (stages[0], stages[2])),
    }
    write_calibration(checkpoint, TEMPERATURES, cascades, "all")
    return path


@pytest.fixture(scope="session")
def calibrated(calibrated_dir: Path) -> Checkpoint:
    return load_checkpoint(calibrated_dir)


@pytest.fixture(scope="session")
def server(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only ask questions; a slow machine is no brownout here."""
    log = tmp_path_factory.mktemp("server") / "log"
    with serve(calibrated_dir, log, "--target-delay-ms", "0") as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The stub's batches run while this file exists."""
    path = tmp_path / "gate"
    path.touch()
    return path


def median_gap(checkpoint: Checkpoint, student: str, texts: list[str]) -> float:
    """A threshold in the middle half of a student's confidences, far from any of them."""
    decisions = Predictor(checkpoint, student).predict(texts)
    confidences = sorted({decision.answer.confidence for decision in decisions})
    low, _, high = quantiles(confidences, n=4)
    middle = [c for c in confidences if low < c < high]
    _, below, above = max((b - a, a, b) for a, b in pairwise(middle))
    return (below + above) / 2
