"""What a process that is replaced loads and serves, and what all load at a reload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from nestling.models import Cascade, NestlingError, load_checkpoint
from nestling.models.runners.torch import TorchRunner
from nestling.server.engine.front_executor import FrontExecutor
from nestling.server.engine.worker.messages import Open, Opened
from nestling.server.settings import Settings
from nestling.server.supervisor.board import Board
from nestling.server.supervisor.forking import Forker
from nestling.server.supervisor.fronts import Fronts
from nestling.server.supervisor.messages import Begin

A, B = Path("a"), Path("b")


@pytest.fixture(scope="module")
def opened(calibrated_dir: Path) -> Opened:
    served = load_checkpoint(calibrated_dir)
    return Opened(
        served.students,
        served.cascades,
        served.default,
        "onnx",
        "float32",
        "cpu",
        served.weights_sha256,
    )


@pytest.fixture
def fronts() -> Fronts:
    settings = Settings()
    return Fronts(2, cast(Forker, None), Board(2), Begin(Open(A, settings), b"", settings))


def moved(opened: Opened) -> Opened:
    """The same with another threshold."""
    name, cascade = next(iter(opened.cascades.items()))
    first, *others = cascade.stages
    stages = (replace(first, threshold=first.threshold / 2), *others)
    return replace(opened, cascades={**opened.cascades, name: Cascade(name, stages)})


def test_one_that_is_replaced_loads_what_serves_and_a_reload_what_was_given(
    fronts: Fronts, opened: Opened
) -> None:
    fronts.take_up(A, [opened, opened])
    pinned = fronts.begin.open
    assert (pinned.settings.runner, pinned.settings.dtype) == ("onnx", "float32")
    rounded = replace(opened, runner="onnx-int8", precision="int8")
    fronts.take_up(B, [rounded, rounded])
    pinned = fronts.begin.open
    assert (pinned.path, pinned.settings.runner, pinned.settings.dtype) == (B, "onnx-int8", "auto")
    assert fronts.opened is rounded
    fronts.take_up(A, [opened, opened])
    assert fronts.begin.open.settings.runner == "onnx"
    assert fronts.given == Open(A, Settings())
    assert fronts.begin.given == Settings()


def test_all_serve_the_same_thresholds_or_none_is_taken_up(fronts: Fronts, opened: Opened) -> None:
    fronts.take_up(A, [opened, opened])
    for other in (moved(opened), replace(opened, default="ta"), replace(opened, runner="torch")):
        with pytest.raises(NestlingError, match="replaced while it was loaded"):
            fronts.take_up(B, [opened, other])
    assert fronts.opened is opened


def test_who_comes_later_serves_what_the_others_do(calibrated_dir: Path, opened: Opened) -> None:
    served = moved(opened)
    executor = FrontExecutor(TorchRunner(load_checkpoint(calibrated_dir)), opened, served)
    assert executor.manifest.cascades == served.cascades != opened.cascades
