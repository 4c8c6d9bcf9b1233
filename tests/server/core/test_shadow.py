"""The TA is asked too, when nobody waits, and the promise is watched."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from nestling.models import Cascade, Checkpoint, Predictor
from nestling.models.cascade.policy import Guarantee
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.guarantee_monitor import GuaranteeMonitor
from nestling.server.core.guarantee_watch import GuaranteeWatch
from nestling.server.core.inference import answer
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.core.shadow_sampler import MOST_WAITING, ShadowSampler
from nestling.server.telemetry.guarantee import GuaranteeMetrics, Unwatched

from ..engine.test_engine import POISON, GatedRunner, one, run, until

PROMISE = Guarantee("ltt", "disagreement", 0.01, 0.95, 100, 100, 0.0, "", "")


def sample(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(name, labels) or 0.0


def unwatched(service: Service, reason: Unwatched) -> float:
    return sample(service, "nestling_shadow_unwatched_total", reason=reason)


def watch_of(checkpoint: Checkpoint, *cascades: Cascade) -> GuaranteeWatch:
    """Over a checkpoint's cascades, or over these in their place."""
    watch = GuaranteeWatch(GuaranteeMetrics(CollectorRegistry()))
    named = {each.name: each for each in cascades}
    watch.serves(replace(checkpoint, cascades=checkpoint.cascades | named))
    return watch


def test_disagreement_is_counted_and_bounded(calibrated: Checkpoint, texts: list[str]) -> None:
    by_cascade = Predictor(calibrated).predict(texts)
    by_ta = Predictor(calibrated, "ta").predict(texts)
    distinct = list(dict.fromkeys(texts))
    assert len(distinct) < len(texts)
    differ = len(
        {
            text
            for text, a, b in zip(texts, by_cascade, by_ta, strict=True)
            if a.answer.label != b.answer.label
        }
    )

    async def scenario(service: Service, runner: GatedRunner) -> None:
        runner.poison = -1
        for text in texts:
            await answer(service, one(text), RequestConstraints())
        watched = service.watch.monitors["all"]
        await until(lambda: watched.texts == len(distinct))
        assert (watched.texts, watched.disagreements) == (len(distinct), differ)
        name = "nestling_shadow_disagreement_ratio"
        low, high = (sample(service, name, cascade="all", bound=b) for b in ("lower", "upper"))
        assert 0 <= low <= differ / len(distinct) < high < 1
        assert unwatched(service, Unwatched.REPEAT) == len(texts) - len(distinct)
        repeats = sample(service, "nestling_shadow_repeats_ratio", cascade="all")
        assert repeats == pytest.approx(1 - len(distinct) / len(texts))
        # What nobody asked for does not count as an answer.
        answers = "nestling_stage_answers_total"
        accepted = [
            sample(service, answers, student=s, outcome="accepted") for s in calibrated.students
        ]
        assert sum(accepted) == len(texts)

    run(calibrated, scenario, shadow=1.0)


def test_never_in_a_brownout_nor_for_one_student(calibrated: Checkpoint) -> None:
    [decision] = Predictor(calibrated).predict(["book a table"])
    [alone] = Predictor(calibrated, "tiny").predict(["book a table"])
    shortened = replace(decision.cascade, stages=decision.cascade.stages[:1])
    watch, weights = watch_of(calibrated), calibrated.weights_sha256
    assert watch.monitor_of(decision, weights) is watch.monitors["all"]
    assert watch.monitor_of(alone, weights) is Unwatched.STUDENT
    browned = replace(decision, cascade=shortened, steps=decision.steps[:1], brownout=2)
    assert watch.monitor_of(browned, weights) is Unwatched.BROWNOUT


def test_only_the_cascade_that_is_served_is_watched(calibrated: Checkpoint) -> None:
    [decision] = Predictor(calibrated).predict(["book a table"])
    watch = watch_of(calibrated)
    for thresholds in ((0.5, 0.5), tuple(s.threshold for s in decision.cascade.stages[:-1])):
        chosen = replace(decision, cascade=decision.cascade.at(thresholds))
        found = watch.monitor_of(chosen, calibrated.weights_sha256)
        assert found is Unwatched.CALIBRATION  # an experiment's
    assert watch.monitor_of(decision, "other weights") is Unwatched.CALIBRATION


def test_an_answer_that_left_its_path_is_not_watched_whatever_made_it(
    calibrated: Checkpoint, texts: list[str]
) -> None:
    decision = next(d for d in Predictor(calibrated).predict(texts) if len(d.steps) == 3)
    watch, weights = watch_of(calibrated), calibrated.weights_sha256
    cut = replace(decision, steps=decision.steps[:1])
    assert not cut.answered
    assert watch.monitor_of(cut, weights) is Unwatched.PATH
    moved = [replace(decision.steps[0], threshold=0.99), *decision.steps[1:]]
    assert watch.monitor_of(replace(decision, steps=moved), weights) is Unwatched.PATH


def test_a_share_is_chosen_and_so_many_wait_at_most() -> None:
    shadow = ShadowSampler(1.0)
    assert shadow.chooses()
    shadow.waiting = MOST_WAITING - 1
    assert not shadow.full
    shadow.waiting = MOST_WAITING
    assert shadow.full
    assert not ShadowSampler(0.0).chooses()
    tenth = ShadowSampler(0.1)
    assert sum(tenth.chooses() for _ in range(5000)) == pytest.approx(500, abs=90)


def test_only_a_promise_about_disagreement_can_be_refuted(calibrated: Checkpoint) -> None:
    cascade = calibrated.policy("all")
    other = replace(PROMISE, loss="drop")
    [decision] = Predictor(calibrated).predict(["book a table"])
    for guarantee, alarms in ((None, False), (other, False), (PROMISE, True)):
        watch = watch_of(calibrated, replace(cascade, guarantee=guarantee))
        monitor = watch.monitors["all"]
        for _ in range(50):
            watch.observe(monitor, decision, agrees=False)
        assert (monitor.raised is not None) is alarms
        assert (monitor.evidence is not None) is alarms
        assert monitor.disagreements == 50


def test_what_is_promised_is_told(calibrated: Checkpoint) -> None:
    cascade, silent = calibrated.policy("all"), calibrated.policy("short")
    registry = CollectorRegistry()
    watch = GuaranteeWatch(GuaranteeMetrics(registry))

    def serve(guarantee: Guarantee | None) -> None:
        cascades = {"all": replace(cascade, guarantee=guarantee), "short": silent}
        watch.serves(replace(calibrated, cascades=cascades))

    serve(PROMISE)
    name, labels = "nestling_guarantee_promise_ratio", {"cascade": "all", "loss": "disagreement"}
    assert registry.get_sample_value(name, labels) == 0.01
    assert generate_latest(registry).count(name.encode() + b"{") == 1
    assert registry.get_sample_value("nestling_guarantee_evidence", {"cascade": "all"}) == 0
    serve(None)
    assert registry.get_sample_value("nestling_guarantee_evidence", {"cascade": "all"}) is None
    assert registry.get_sample_value(name, labels) is None


def test_a_request_of_many_texts_is_watched_too(calibrated: Checkpoint, texts: list[str]) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.poison = -1
        await answer(service, Inputs(texts[:40], single=False), RequestConstraints())
        distinct = len(set(texts[:40]))
        await until(lambda: service.watch.monitors["all"].texts == distinct)

    run(calibrated, scenario, shadow=1.0)


def test_no_more_wait_than_may(calibrated: Checkpoint, texts: list[str]) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.poison = -1
        distinct = list(dict.fromkeys(texts))
        await answer(service, Inputs(distinct, single=False), RequestConstraints())
        await until(lambda: not service.shadow.sampler.waiting)
        assert service.watch.monitors["all"].texts == MOST_WAITING
        assert unwatched(service, Unwatched.WAITING) == len(distinct) - MOST_WAITING

    run(calibrated, scenario, shadow=1.0)


def test_every_disagreement_counts(calibrated: Checkpoint) -> None:
    watch = watch_of(calibrated)
    [decision] = Predictor(calibrated).predict(["book a table"])
    watched = watch.monitors["all"]
    for agrees in (True, False, True, True):
        watch.observe(watched, decision, agrees)
    assert (watched.texts, watched.disagreements) == (4, 1)
    assert 0 < watched.lower < 0.25 < watched.upper < 1


def test_they_count_in_the_order_in_which_they_were_chosen(
    calibrated: Checkpoint, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the TA has answered already need nobody to be asked, and wait for their turn."""
    distinct = list(dict.fromkeys(texts))[:40]
    counted: list[str] = []

    def count(
        watch: GuaranteeWatch, monitor: GuaranteeMonitor, decision: Any, agrees: bool
    ) -> None:
        counted.append(decision.tokens)

    monkeypatch.setattr(GuaranteeWatch, "observe", count)

    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.poison = -1
        answers = await answer(service, Inputs(distinct, single=False), RequestConstraints())
        reached = [d.answer.stage.student.name for d in answers.decisions]
        assert {"tiny", "ta"} <= set(reached)
        await until(lambda: len(counted) == len(distinct))
        assert counted == [decision.tokens for decision in answers.decisions]

    run(calibrated, scenario, shadow=1.0)


def test_what_nobody_counts_is_recorded_but_not_asked_without_a_log(
    calibrated: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    """Every stage answers for a record, wherever the answer came from."""
    log = tmp_path / "log"

    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.poison = -1
        await answer(service, Inputs(texts[:20], single=False), RequestConstraints(max_cost=0.4))
        assert unwatched(service, Unwatched.MAX_COST) == 20
        assert service.shadow
        assert service.shadow.sampler.waiting == (20 if log.exists() else 0)
        await until(lambda: not service.shadow.sampler.waiting)
        assert service.watch.monitors["all"].texts == 0

    run(calibrated, scenario, shadow=1.0)
    run(calibrated, scenario, shadow=1.0, shadow_log=log)  # type: ignore[arg-type]
    assert len(log.read_text().splitlines()) == 20


def test_one_that_cannot_be_asked_is_counted_apart(
    calibrated: Checkpoint, texts: list[str]
) -> None:
    decisions = Predictor(calibrated).predict(texts)
    by_tiny = next(
        text
        for text, decision in zip(texts, decisions, strict=True)
        if POISON in text.split() and len(decision.steps) == 1
    )

    async def scenario(service: Service, runner: GatedRunner) -> Any:
        poison, runner.poison = runner.poison, -1
        asked = asyncio.ensure_future(answer(service, one(by_tiny), RequestConstraints()))
        asked.add_done_callback(lambda _: setattr(runner, "poison", poison))
        await asked
        await until(lambda: not service.shadow.sampler.waiting)
        assert unwatched(service, Unwatched.FAILED) == 1
        assert service.watch.monitors["all"].texts == 0

    run(calibrated, scenario, shadow=1.0)
