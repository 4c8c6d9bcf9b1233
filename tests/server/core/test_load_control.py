"""Overload: the cascade is shortened step by step, then texts are turned away; and back again.

And what the load control does with a request from its first step to its last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from nestling.models import Cascade, Checkpoint, load_checkpoint
from nestling.models.cascade.path import CascadePath, PathVector
from nestling.models.cascade.policy import Guarantee
from nestling.models.runners.torch import TorchRunner
from nestling.server.build import assemble
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.load_control import (
    FALL_SECONDS,
    HOPELESS,
    LEVELS,
    RATES,
    RISE_SECONDS,
    SMOOTHED,
    TICK_SECONDS,
    Admission,
    Brownout,
    LoadControl,
    ThroughputEstimator,
    browned_out,
)
from nestling.server.core.service import Service
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.errors import Reason, RequestError
from nestling.server.http.app import create_app
from nestling.server.settings import Settings

from ..engine.test_engine import GatedRunner, one, run

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


def test_texts_are_turned_away_at_the_last_level_and_where_none_would_do() -> None:
    brownout = Brownout(TARGET)
    for level in (0, 1, 2):
        brownout.level = level
        brownout.check(HOPELESS * TARGET)
        with pytest.raises(RequestError):
            brownout.check(1.01 * HOPELESS * TARGET)
    Brownout(0).check(10)
    brownout.level = 3
    brownout.check(TARGET)
    with pytest.raises(RequestError, match="the queue is 1500 ms long, the target is 100 ms") as e:
        brownout.check(1.5)
    assert e.value.reason == Reason.OVERLOADED
    assert e.value.headers == {"Retry-After": "2"}


PROMISE = Guarantee("ltt", "drop", 0.01, 0.95, 100, 100, 0.0, "", "")


def with_path(cascade: Cascade, *risks: float) -> Cascade:
    """It promises a risk of 0.01, and has a step of its path that is cheaper for each of these."""
    chosen = tuple(stage.threshold for stage in cascade.stages)
    cheaper = [
        PathVector(tuple(threshold / 2**power for threshold in chosen), risk, 0.1)
        for power, risk in enumerate(risks, 1)
    ]
    path = CascadePath((PathVector(chosen, 0.005, 0.2), *cheaper), 0)
    return replace(cascade, guarantee=PROMISE, path=path)


def test_what_each_level_does_to_a_cascade(calibrated: Checkpoint) -> None:
    whole = with_path(calibrated.policy("all"), 0.02, 0.04, 0.041)
    assert browned_out(whole, 0) is whole
    relaxed, without_ta, smallest = (browned_out(whole, level) for level in (1, 2, 3))
    for stage, before in zip(relaxed.stages, whole.stages, strict=True):
        assert stage.student is before.student
        assert stage.threshold < before.threshold or before.threshold == 0
        assert stage.threshold == before.threshold / 4  # of the risks, 0.04 is four times 0.01
    assert (relaxed.name, relaxed.guarantee, relaxed.path) == ("all", None, None)
    assert [s.student.name for s in without_ta.stages] == ["tiny", "small"]
    assert without_ta.stages[-1].threshold == 0
    assert without_ta.stages[0] == relaxed.stages[0]  # no level costs more than the one below
    assert [s.student.name for s in smallest.stages] == ["tiny"]
    assert smallest.stages[0].threshold == 0
    alone = calibrated.policy("ta")
    assert browned_out(alone, 3) is alone


def test_without_cheaper_thresholds_that_were_calibrated_the_first_level_changes_nothing(
    calibrated: Checkpoint,
) -> None:
    plain = calibrated.policy("all")
    pathless = replace(with_path(plain, 0.02), path=None)
    unpromised = replace(with_path(plain, 0.02), guarantee=None)
    for cascade in (plain, pathless, unpromised, with_path(plain), with_path(plain, 0.05)):
        assert browned_out(cascade, 1) is cascade
        without_ta, smallest = (browned_out(cascade, level) for level in (2, 3))
        assert without_ta.stages[0] == cascade.stages[0]
        assert [s.student.name for s in without_ta.stages] == ["tiny", "small"]
        assert [s.student.name for s in smallest.stages] == ["tiny"]
        assert without_ta.guarantee is smallest.guarantee is None


def test_answers_say_that_they_were_browned_out(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> list[Any]:
        service.load.brownout.level = 3
        return [
            (await answer(service, one("book a table"), RequestConstraints(model))).decisions[0]
            for model in ("auto", "ta")
        ]

    shortened, fixed = run(calibrated, scenario)
    assert (shortened.brownout, len(shortened.steps)) == (3, 1)
    assert shortened.answer.stage.student.name == "tiny"
    assert (fixed.brownout, fixed.answer.stage.student.name) == (0, "ta")


def tick(throughput: ThroughputEstimator, answered: int) -> None:
    """A twentieth of a second in which some of many are answered, and as many come."""
    throughput.answer(answered)
    throughput.leave(answered)
    throughput.enter(answered)
    throughput.observe(0.05)


def test_delay_is_what_is_inside_over_the_best_recent_rate() -> None:
    throughput = ThroughputEstimator()
    throughput.enter(50)
    assert throughput.delay == 0
    for _ in range(10):
        tick(throughput, 5)
    assert throughput.delay == pytest.approx(0.5)
    for _ in range(RATES + SMOOTHED):
        tick(throughput, 1)
    assert throughput.delay == pytest.approx(2.5)


def test_a_rate_of_answers_to_few_who_ask_is_no_limit() -> None:
    throughput = ThroughputEstimator()
    for _ in range(2 * RATES):
        throughput.enter(1)
        throughput.answer(1)
        throughput.leave(1)
        throughput.observe(0.05)  # twenty a second, each answered at once
    throughput.enter(500)
    assert throughput.delay == 0
    for _ in range(2 + SMOOTHED):
        tick(throughput, 50)
    assert throughput.delay == pytest.approx(0.5)
    throughput.leave(500)
    for _ in range(RATES):
        throughput.observe(0.05)  # after a while nobody knows any more
    throughput.enter(500)
    assert throughput.delay == 0


def test_shed_requests_are_answered_in_their_protocols_form(calibrated_dir: Path) -> None:
    def load(_: Path | None, __: object = None) -> InProcessExecutor:
        return InProcessExecutor(TorchRunner(load_checkpoint(calibrated_dir)))

    settings = Settings(target_delay_ms=100)
    app = create_app(assemble(load(None), settings, load), settings)
    with TestClient(app) as client:
        service = app.app.state.inference.services.service
        assert client.post("/v1/classify", json={"inputs": "book"}).status_code == 200
        service.load.brownout.level = 3
        service.load.throughput.enter(10**9)
        for _ in range(3):
            service.load.throughput.answer(1)
            service.load.throughput.observe(1.0)
        native = client.post("/v1/classify", content=b"never read")
        assert native.status_code == 429
        assert native.json()["error"]["type"] == "overloaded"
        assert int(native.headers["Retry-After"]) > 0
        assert native.headers["x-request-id"]
        theirs = client.post("/predict", json={"inputs": "book"})
        assert (theirs.status_code, theirs.json()["error_type"]) == (429, "Overloaded")
        for path in ("/models/tiny", "/v2/models/tiny/infer"):
            assert client.post(path, content=b"never read").status_code == 429
        assert client.get("/health").status_code == 200
        assert client.get("/v1/models").status_code == 200
        count = client.get("/metrics").text
        assert 'nestling_requests_total{code="429",endpoint="/v1/classify"} 1.0' in count
        service.load.throughput.leave(10**9)
        assert client.post("/v1/classify", json={"inputs": "book"}).status_code == 200


def control(**settings: float) -> LoadControl:
    """Of few texts, tokens and characters."""
    few = {
        "max_queued_requests": 10, "max_client_batch": 10, "max_queued_tokens": 100,
        "max_body_bytes": 5000, "target_delay_ms": 1e3 * TARGET,
    }  # fmt: skip
    return LoadControl(Settings(**few | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit", "limit", "enter"),
    [
        ("texts", 10, lambda held, count: held._control.admit(count, apart=False)),
        ("characters", 5000, Admission.characters),
        ("tokens", 100, Admission.tokens),
    ],
)
def test_each_limit_holds_and_what_is_closed_makes_room(
    unit: str, limit: int, enter: Callable[[Admission, int], Admission | None]
) -> None:
    load = control()
    first = load.admit(0, apart=False)
    held = enter(first, limit)
    with pytest.raises(RequestError, match=f"{limit} {unit} are waiting and 1 more would") as full:
        enter(first, 1)
    assert full.value.details == {"limit": limit, "actual": limit}
    assert full.value.headers == {"Retry-After": "1"}
    for each in (held, first):
        if each is not None:
            each.close()
    enter(load.admit(0, apart=False), limit)


@pytest.mark.parametrize("steps", range(5))
def test_a_request_that_fails_at_any_step_leaves_nothing_behind(steps: int) -> None:
    def request() -> None:
        with load.admit(10, apart=False) as admission:
            each: list[Callable[[], None]] = [
                lambda: admission.characters(5000),
                lambda: admission.tokenized(3000),
                lambda: admission.tokens(100),
                admission.answered,
            ]
            for step in each[:steps]:
                step()
            raise ZeroDivisionError

    load = control()
    with pytest.raises(ZeroDivisionError):
        request()
    assert set(load._inside.values()) == {0}
    assert load.throughput.inside == 0


def test_a_request_keeps_the_level_at_which_it_came(calibrated: Checkpoint) -> None:
    load, whole = control(), calibrated.policy("all")
    before = load.admit(1, apart=False)
    load.brownout.level = 3
    assert before.cascade(whole) is whole
    assert [s.student.name for s in load.admit(1, apart=False).cascade(whole).stages] == ["tiny"]


def test_the_delay_is_the_larger_of_estimate_and_age_and_what_the_loop_is_late_by() -> None:
    load, now = control(target_delay_ms=0), 0.0
    load.admit(10, apart=False)
    load.admit(0, apart=True)
    for _ in range(2 + SMOOTHED):
        load.throughput.answer(5)  # a hundred in a second
        load.tick(now, now + TICK_SECONDS, age=0.02)
        now += TICK_SECONDS
    assert load.delay == pytest.approx(0.1)
    load.tick(now, now + TICK_SECONDS, age=0.3)
    assert load.delay == pytest.approx(0.3)
    load.tick(now + TICK_SECONDS, now + 2 * TICK_SECONDS + 0.2, age=0.3)
    assert load.delay == pytest.approx(0.5)
    load.check_delay()  # without a target nobody is turned away


def test_who_waits_apart_delays_nobody_and_counts_as_answered() -> None:
    load = control()
    apart = load.admit(10, apart=True)
    assert load.throughput.inside == 0
    apart.answered()
    assert load.throughput._answered == 10


def test_a_delay_beyond_the_target_raises_the_level_and_then_turns_away() -> None:
    load = control()
    for tick in range(100):
        load.tick(tick * TICK_SECONDS, (tick + 1) * TICK_SECONDS, age=1.5 * TARGET)
        if load.level < 3:
            load.check_delay()
    assert load.level == 3
    with pytest.raises(RequestError, match="the queue is 150 ms long, the target is 100 ms"):
        load.check_delay()
