"""Overload: the cascade is shortened step by step, then texts are turned away; and back again."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.models import Checkpoint
from nestling.server.engine.pace import Pace
from nestling.server.errors import Reason, RequestError
from nestling.server.routing.brownout import (
    FALL_SECONDS,
    LEVELS,
    RISE_SECONDS,
    Brownout,
    browned_out,
)
from nestling.server.routing.contract import Contract
from nestling.server.service import Service

from .test_engine import Backend, one, run

TARGET = 0.1


def level_after(brownout: Brownout, delay: float, seconds: float, start: float) -> int:
    """The level after a constant delay, observed twenty times a second."""
    for tick in range(round(seconds * 20) + 1):
        brownout.observe(delay, start + tick / 20)
    return brownout.level


def test_it_rises_step_by_step_and_falls_slowly() -> None:
    brownout = Brownout(TARGET)
    assert level_after(brownout, 2 * TARGET, RISE_SECONDS / 2, 0) == 0
    assert level_after(brownout, 2 * TARGET, 10, 1) == len(LEVELS) - 1
    assert level_after(brownout, 0.7 * TARGET, 60, 20) == len(LEVELS) - 1  # between: it stays
    assert level_after(brownout, 0.1 * TARGET, FALL_SECONDS * 1.1, 100) == len(LEVELS) - 2
    assert level_after(brownout, 0.1 * TARGET, FALL_SECONDS * 5, 200) == 0


@given(st.lists(st.floats(0, 1), max_size=400))
def test_it_never_jumps_nor_leaves_its_range(delays: list[float]) -> None:
    brownout = Brownout(TARGET)
    levels = [0]
    for tick, delay in enumerate(delays):
        brownout.observe(delay, tick / 20)
        levels.append(brownout.level)
    assert all(abs(b - a) <= 1 for a, b in pairwise(levels))
    assert set(levels) <= set(range(len(LEVELS)))


def test_off_is_off() -> None:
    brownout = Brownout(0)
    assert level_after(brownout, 100, 60, 0) == 0
    brownout.check(100)


def test_only_the_last_level_turns_texts_away() -> None:
    brownout = Brownout(TARGET)
    brownout.level = 2
    brownout.check(10)
    brownout.level = 3
    brownout.check(TARGET)
    with pytest.raises(RequestError, match="the queue is 1500 ms long, the target is 100 ms") as e:
        brownout.check(1.5)
    assert e.value.reason == Reason.OVERLOADED
    assert e.value.headers == {"Retry-After": "2"}


def test_what_each_level_does_to_a_cascade(calibrated: Checkpoint) -> None:
    whole = calibrated.policy("all")
    assert browned_out(whole, 0) is whole
    relaxed, without_ta, smallest = (browned_out(whole, level) for level in (1, 2, 3))
    for stage, before in zip(relaxed.stages, whole.stages, strict=True):
        assert stage.student is before.student
        assert stage.threshold < before.threshold or before.threshold == 0
    assert [s.student.name for s in without_ta.stages] == ["tiny", "small"]
    assert without_ta.stages[-1].threshold == 0
    assert without_ta.stages[0] == whole.stages[0]
    assert [s.student.name for s in smallest.stages] == ["tiny"]
    assert smallest.stages[0].threshold == 0
    alone = calibrated.policy("ta")
    assert browned_out(alone, 3) is alone


def test_answers_say_that_they_were_browned_out(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, backend: Backend) -> list[Any]:
        service._brownout.level = 3
        return [
            (await service.answer(one("book a table"), Contract(model))).decisions[0]
            for model in ("auto", "ta")
        ]

    shortened, fixed = run(calibrated, scenario)
    assert (shortened.brownout, len(shortened.steps)) == (3, 1)
    assert shortened.answer.stage.student.name == "tiny"
    assert (fixed.brownout, fixed.answer.stage.student.name) == (0, "ta")


def test_pace_is_engine_time_per_answer() -> None:
    pace = Pace()
    assert pace.delay(100) == 0
    for _ in range(100):
        pace.observe(0.1, 10)
    assert pace.delay(50) == pytest.approx(0.5)
    for _ in range(200):
        pace.observe(0.1, 5)
    assert pace.delay(50) == pytest.approx(1.0, rel=0.01)
