"""A promise is broken, and its cascade goes back along its path until the promise holds again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nestling.models import Checkpoint
from nestling.models.cascade.decisions import Decision, Step
from nestling.models.cascade.path import CascadePath, PathVector
from nestling.models.cascade.policy import Cascade, Guarantee
from nestling.models.cascade.scope import OutOfScope, ScopePromise
from nestling.models.cascade.score import Score
from nestling.models.errors import NestlingError
from nestling.server.core.guarantee_watch import GuaranteeWatch
from nestling.server.core.load_control import browned_out
from nestling.server.core.tightening import Tightening
from nestling.server.http.keys import new_key
from nestling.server.settings import OnViolation, Settings
from nestling.server.telemetry.guarantee import GuaranteeMetrics, Unwatched

from ..console.listening import listening
from ..promises import BROKEN, KEPT, promise, promising, with_path
from ..serving import Server, serve
from .test_guarantee import ask, broken, until, watched

KEY, DIGEST = new_key()
PROMISE = Guarantee("ltt", "disagreement", 0.1, 0.95, 100, 100, 0.02, "", "")
LOOSE, TIGHT = 1e-6, 2e-6
"""Two thresholds of `tiny`, which is always surer than that, and often wrong."""


@pytest.fixture(scope="module")
def directory(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = promising(calibrated_dir, tmp_path_factory.mktemp("tightening"))
    with_path(path, TIGHT)
    return path


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Server]:
    keys = directory.with_name("keys")
    keys.write_text(f"admin {DIGEST}\n")
    flags = ["--shadow", "1", "--target-delay-ms", "0", "--admin-keys", str(keys)]
    flags += ["--on-violation", "tighten", "--answer-cache", "1000"]
    flags += ["--shadow-log", str(directory.with_name("shadow.jsonl"))]
    with serve(directory, directory.with_name("log"), *flags) as running:
        running.client.headers["X-API-Key"] = KEY
        yield running


def series(server: Server, name: str) -> float:
    return server.metrics()[f"nestling_guarantee_{name}{{cascade={BROKEN}}}"]


def entry(server: Server, name: str = BROKEN) -> Any:
    return server.client.get(f"/v1/models/{name}").json()


def thresholds(server: Server) -> dict[str, float]:
    return {stage["student"]: stage["threshold"] for stage in entry(server)["stages"]}


def break_it(server: Server, texts: list[str], word: str, steps: int) -> None:
    """Ask for as many texts as it takes until so many steps are taken."""
    for start in range(0, len(texts), 25):
        ask(server, [f"{word} {text}" for text in texts[start : start + 25]], BROKEN)
        if len(watched(server, BROKEN)["steps"]) >= steps:
            return
    until(lambda: len(watched(server, BROKEN)["steps"]) >= steps)


def test_it_goes_back_step_by_step_until_the_promise_holds(
    server: Server, directory: Path, texts: list[str]
) -> None:
    distinct = list(dict.fromkeys(texts))
    calibrated = entry(server)
    assert (thresholds(server), calibrated["tightened"]) == ({"tiny": LOOSE, "ta": 0}, None)
    assert watched(server, BROKEN)["further_steps"] == 2
    assert (series(server, "steps"), series(server, "tightenings_total")) == (0, 0)
    assert f"{KEPT} has no calibrated path: if its promise is broken, the TA alone" in server.log

    break_it(server, distinct, "book", 1)
    found = watched(server, BROKEN)
    [step] = found["steps"]
    assert step["thresholds"] == thresholds(server) == {"tiny": TIGHT, "ta": 0}
    assert (step["observed_risk"], step["relative_cost"]) == (0.01, 0.5)
    assert step["alarm"] == found["alarm"]
    assert found["further_steps"] == 1
    assert found["texts"] < found["alarm"]["texts"]  # the tightened thresholds are watched anew
    shown = entry(server)
    assert shown["version"] == found["version"] == step["version"] != calibrated["version"]
    assert (shown["tightened"]["steps"], shown["tightened"]["of"]) == (1, 2)
    assert shown["tightened"]["since"] == step["alarm"]["raised"]
    assert shown["guarantee"] == calibrated["guarantee"]
    assert (series(server, "steps"), series(server, "tightenings_total")) == (1, 1)
    assert series(server, "tightened_timestamp_seconds") == broken(server, BROKEN)[1] > 0
    first = found["alarm"]

    # What was answered before the step is kept under the thresholds that answered it.
    text = f"book {distinct[0]}"
    answer = server.classify(text, model=BROKEN)["decision"]
    assert (answer["cached"], answer["path"][0]["threshold"]) == (False, TIGHT)

    break_it(server, distinct, "play", 2)
    found = watched(server, BROKEN)
    assert found["alarm"] == first
    assert found["further_steps"] == 0
    assert found["steps"][1]["alarm"]["raised"] > first["raised"]
    assert thresholds(server) == {"ta": 0}
    assert entry(server)["tightened"]["relative_cost"] == 1
    assert broken(server, BROKEN)[0] == 1
    version = calibrated["version"]
    assert f"{BROKEN} is tightened, step 1 of 2, from version {version} to " in server.log
    assert "it is answered by tiny ≥ 2e-06, then ta;" in server.log
    assert f"{BROKEN} is tightened, step 2 of 2, from version {step['version']} to " in server.log
    assert "it is answered by ta alone;" in server.log

    # The TA answers, and never differs from itself.
    [decision] = ask(server, ["music please"], BROKEN)
    assert [each["student"] for each in decision["decision"]["path"]] == ["ta"]
    ask(server, [f"music {text}" for text in distinct[:50]], BROKEN)
    until(lambda: watched(server, BROKEN)["texts"] >= 50)
    assert watched(server, BROKEN)["disagreements"] == 0
    assert series(server, "steps") == 2

    # It can be calibrated anew from what `tiny` would have said.
    log = directory.with_name("shadow.jsonl")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    latest = [each for each in records if each["version"] == entry(server)["version"]]
    assert len(latest) >= 50
    assert all([s["student"] for s in each["stages"]] == ["tiny", "ta"] for each in latest)

    with listening(server, **{"X-API-Key": KEY}) as events:
        numbers = next(content for name, content in events if name == "numbers")
    [guarded] = [each for each in numbers["guarantees"] if each["cascade"] == BROKEN]
    assert (guarded["broken"], guarded["steps"]) == (True, 2)
    assert guarded["tightened"] == series(server, "tightened_timestamp_seconds") > guarded["since"]

    # A reload of the same calibration keeps the steps, and a reset takes them back.
    before = watched(server, BROKEN)
    assert server.client.post("/admin/reload").status_code == 200
    assert watched(server, BROKEN) == before
    assert thresholds(server) == {"ta": 0}
    reply = server.client.post("/admin/guarantees/reset", json={"cascade": BROKEN})
    assert reply.json() == {"before": [before]}
    assert entry(server) == calibrated
    assert (broken(server, BROKEN), series(server, "steps")) == ((0, 0), 0)
    assert series(server, "tightenings_total") == 2
    assert f"its calibrated thresholds (version {version}) are back" in server.log
    anew = watched(server, BROKEN)
    assert (anew["steps"], anew["further_steps"], anew["texts"]) == ([], 2, 0)


def test_another_calibration_begins_by_its_own_thresholds(
    server: Server, directory: Path, texts: list[str]
) -> None:
    break_it(server, list(dict.fromkeys(texts)), "table", 1)
    promise(directory, sure=3e-6)
    assert server.client.post("/admin/reload").status_code == 200
    assert thresholds(server) == {"tiny": 3e-6, "ta": 0}
    found = watched(server, BROKEN)
    assert (found["steps"], found["further_steps"]) == ([], 1)  # without a path: the TA alone
    assert broken(server, BROKEN) == (0, 0)
    assert f"{BROKEN} has no calibrated path" in server.log


def chain(cascade: Cascade) -> CascadePath:
    """From the last stage alone to the chosen thresholds, over three stages."""
    own = tuple(stage.threshold for stage in cascade.stages)
    steps = (
        PathVector((1.0, 1.0, 0.0), 0.0, 1.0),
        PathVector((1.0, 0.9, 0.0), 0.0, 0.9),
        PathVector((0.9, 0.8, 0.0), 0.009, 0.8),
        PathVector((0.8, 0.7, 0.0), 0.011, 0.7),
        PathVector(own, 0.02, 0.6),
    )
    return CascadePath(steps, 4)


def tightening(
    checkpoint: Checkpoint, mode: OnViolation, path: bool = True, stages: slice = slice(None)
) -> Tightening:
    cascade = replace(checkpoint.policy("all"), guarantee=PROMISE)
    cascade = replace(cascade, path=chain(cascade) if path else None)
    return Tightening(replace(cascade, stages=cascade.stages[stages]), checkpoint, mode)


def named(found: Tightening) -> list[list[tuple[str, float]]]:
    return [[(s.student.name, s.threshold) for s in rung.cascade.stages] for rung in found.rungs]


def test_each_step_has_at_most_half_of_the_risk(calibrated: Checkpoint) -> None:
    alone = [("ta", 0.0)]
    found = tightening(calibrated, "tighten")
    assert named(found) == [
        [("tiny", 0.9), ("small", 0.8), ("ta", 0.0)],
        [("small", 0.9), ("ta", 0.0)],
        alone,
    ]
    assert [rung.risk for rung in found.rungs] == [0.009, 0.0, 0.0]
    assert all(rung.cascade.guarantee == PROMISE for rung in found.rungs)
    for rung in found.rungs:  # a brownout does not take a step back
        assert browned_out(rung.cascade, 1) is rung.cascade
    assert browned_out(found.rungs[-1].cascade, 3) is found.rungs[-1].cascade
    assert len({found.version, *(rung.version for rung in found.rungs)}) == 4
    assert named(tightening(calibrated, "alarm")) == []
    assert named(tightening(calibrated, "ta")) == [alone]
    assert named(tightening(calibrated, "ta", path=False)) == [alone]
    assert named(tightening(calibrated, "tighten", path=False)) == [alone]
    assert named(tightening(calibrated, "tighten", path=False, stages=slice(2, 3))) == []
    small = tightening(calibrated, "tighten", path=False, stages=slice(0, 2))
    assert named(small) == [alone]  # whatever it ended in


def test_a_step_keeps_scopes_and_says_them_of_the_stages_that_are_left(
    calibrated: Checkpoint,
) -> None:
    cascade = calibrated.policy("all")
    scoped = tuple(replace(stage, scope=0.5, score=Score.MARGIN) for stage in cascade.stages)
    strangers = OutOfScope(9, (0.1, 0.2, 0.3), (0.1, 0.1, 0.3), 0.9, 0.3, "")
    promised = ScopePromise(0.9, 0.95, 100, (0.91, 0.92, 0.93), strangers)
    cascade = replace(
        cascade, stages=scoped, guarantee=PROMISE, path=chain(cascade), scope=promised
    )
    rungs = [rung.cascade for rung in Tightening(cascade, calibrated, "tighten").rungs]
    assert all(rung.abstains for rung in rungs)
    scopes = [rung.scope for rung in rungs if rung.scope]
    assert [scope.observed for scope in scopes] == [(0.91, 0.92, 0.93), (0.92, 0.93), (0.93,)]
    assert all(scope.out_of_scope is None for scope in scopes)  # counted by other thresholds
    small = replace(cascade, stages=scoped[:2], path=None, scope=replace(promised, observed=(1, 1)))
    [alone] = [rung.cascade for rung in Tightening(small, calibrated, "tighten").rungs]
    assert (alone.abstains, alone.scope) == (False, None)  # nobody has found the TA's
    assert alone.stages[0].score is Score.MARGIN


def watch_of(checkpoint: Checkpoint, cascade: Cascade, mode: OnViolation) -> GuaranteeWatch:
    watch = GuaranteeWatch(GuaranteeMetrics(CollectorRegistry()), mode)
    watch.serves(replace(checkpoint, cascades={cascade.name: cascade}))
    return watch


def differ(watch: GuaranteeWatch, decision: Decision, texts: int = 50) -> None:
    for _ in range(texts):
        watch.observe(watch.monitors[decision.cascade.name], decision, agrees=False)


def answered(checkpoint: Checkpoint, cascade: Cascade) -> Decision:
    stage = cascade.stages[0]
    step = Step(stage, 0, 1.0, 1.0, stage.threshold, True, 1.0, 0.0, 1.0, True)
    return Decision(cascade, [1, 2, 3], checkpoint.ta.flops_by_length[3], steps=[step])


def test_ta_has_the_ta_alone_answer_from_the_first_alarm_on(
    calibrated: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    cascade = replace(calibrated.policy("all"), guarantee=PROMISE)
    watch = watch_of(calibrated, cascade, "ta")
    decision = answered(calibrated, cascade)
    assert watch.served(cascade) is cascade
    differ(watch, decision)
    served = watch.served(cascade)
    assert [stage.student.name for stage in served.stages] == ["ta"]
    assert "all is tightened, step 1 of 1" in caplog.text
    # What the former thresholds answered is not counted any more, nor is another's of that name.
    weights = calibrated.weights_sha256
    assert watch.monitor_of(decision, weights) is Unwatched.CALIBRATION
    now = answered(calibrated, served)
    assert watch.monitor_of(now, weights) is watch.monitors["all"]
    other = cascade.at((0.5, 0.5))
    assert watch.served(replace(other, name="all")).stages == other.stages


def test_an_alarm_alone_changes_no_threshold(calibrated: Checkpoint) -> None:
    cascade = replace(calibrated.policy("all"), guarantee=PROMISE)
    watch = watch_of(calibrated, cascade, "alarm")
    differ(watch, answered(calibrated, cascade))
    assert watch.monitors["all"].raised
    assert watch.served(cascade) is cascade


@pytest.mark.parametrize("loss", [None, "drop"])
def test_what_no_alarm_can_be_raised_for_is_said_at_the_start(
    calibrated: Checkpoint, caplog: pytest.LogCaptureFixture, loss: str | None
) -> None:
    caplog.set_level(logging.WARNING)
    guarantee = replace(PROMISE, loss=loss) if loss else None
    watch_of(calibrated, replace(calibrated.policy("all"), guarantee=guarantee), "tighten")
    assert "nothing will tighten all: without labels no alarm can be raised for" in caplog.text
    assert ("its promise, drop" if loss else "no promise") in caplog.text


@pytest.mark.parametrize("mode", ["tighten", "ta"])
def test_who_wants_steps_must_watch(mode: OnViolation) -> None:
    with pytest.raises(NestlingError, match=f"on_violation: {mode} .* shadow is 0"):
        Settings(on_violation=mode)
    assert Settings(on_violation=mode, shadow=0.01).on_violation == mode


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(NestlingError, match="on_violation: 'stop' is none of alarm, tighten, ta"):
        Settings(on_violation="stop")  # type: ignore[arg-type]
