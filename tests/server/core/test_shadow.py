"""The TA is asked too, when nobody waits, and the promise is watched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from nestling.models import Checkpoint, Predictor
from nestling.models.cascade.policy import Guarantee
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.core.shadow_sampler import MOST_WAITING, ShadowSampler, violated
from nestling.server.telemetry.guarantee import GuaranteeMetrics

from ..engine.test_engine import GatedRunner, one, run, until


def sample(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(name, labels) or 0.0


def test_disagreement_is_counted_and_bounded(calibrated: Checkpoint, texts: list[str]) -> None:
    by_cascade = Predictor(calibrated).predict(texts)
    by_ta = Predictor(calibrated, "ta").predict(texts)
    differ = sum(a.answer.label != b.answer.label for a, b in zip(by_cascade, by_ta, strict=True))

    async def scenario(service: Service, runner: GatedRunner) -> None:
        runner.poison = -1
        for text in texts:
            await answer(service, one(text), RequestConstraints())
        await until(lambda: "all" in service.shadow.sampler.watched)
        await until(lambda: service.shadow.sampler.watched["all"].texts == len(texts))
        watched = service.shadow.sampler.watched["all"]
        assert (watched.texts, watched.disagreements) == (len(texts), differ)
        name = "nestling_shadow_disagreement_ratio"
        low, high = (sample(service, name, cascade="all", bound=b) for b in ("lower", "upper"))
        assert 0 <= low <= differ / len(texts) < high < 1
        # What nobody asked for does not count as an answer.
        answers = "nestling_stage_answers_total"
        accepted = [
            sample(service, answers, student=s, outcome="accepted") for s in calibrated.students
        ]
        assert sum(accepted) == len(texts)

    run(calibrated, scenario, shadow=1.0)


def test_never_in_a_brownout_nor_for_one_student_nor_beyond_the_limit(
    calibrated: Checkpoint,
) -> None:
    [decision] = Predictor(calibrated).predict(["book a table"])
    [alone] = Predictor(calibrated, "tiny").predict(["book a table"])
    shadow = ShadowSampler(1.0)
    assert shadow.chooses(decision)
    assert not shadow.chooses(alone)
    assert not shadow.chooses(replace(decision, brownout=1))
    shadow.waiting = MOST_WAITING
    assert not shadow.chooses(decision)
    assert not ShadowSampler(0.0).chooses(decision)
    tenth = ShadowSampler(0.1)
    assert sum(tenth.chooses(decision) for _ in range(5000)) == pytest.approx(500, abs=90)


def test_only_a_promise_about_disagreement_can_be_refuted(calibrated: Checkpoint) -> None:
    cascade = calibrated.policy("all")
    promise = Guarantee("ltt", "disagreement", 0.01, 0.95, 100, 100, 0.0, "", "")
    assert not violated(cascade, 0.5)
    assert violated(replace(cascade, guarantee=promise), 0.011)
    assert not violated(replace(cascade, guarantee=promise), 0.01)
    assert not violated(replace(cascade, guarantee=replace(promise, loss="accuracy")), 0.5)


def test_what_is_promised_is_told(calibrated: Checkpoint) -> None:
    cascade, silent = calibrated.policy("all"), calibrated.policy("short")
    promise = Guarantee("ltt", "disagreement", 0.01, 0.95, 100, 100, 0.0, "", "")
    registry = CollectorRegistry()
    metrics = GuaranteeMetrics(registry)
    metrics.watches([replace(cascade, guarantee=promise), silent])
    name, labels = "nestling_guarantee_promise_ratio", {"cascade": "all", "loss": "disagreement"}
    assert registry.get_sample_value(name, labels) == 0.01
    assert generate_latest(registry).count(name.encode() + b"{") == 1
    metrics.watches([cascade, silent])
    assert registry.get_sample_value(name, labels) is None


def test_a_request_of_many_texts_is_watched_too(calibrated: Checkpoint, texts: list[str]) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.poison = -1
        await answer(service, Inputs(texts[:40], single=False), RequestConstraints())
        await until(lambda: "all" in service.shadow.sampler.watched)
        await until(lambda: service.shadow.sampler.watched["all"].texts == 40)

    run(calibrated, scenario, shadow=1.0)


def test_no_more_wait_than_may(calibrated: Checkpoint, texts: list[str]) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.poison = -1
        await answer(service, Inputs(texts, single=False), RequestConstraints())
        await until(lambda: not service.shadow.sampler.waiting)
        assert service.shadow.sampler.watched["all"].texts == MOST_WAITING

    run(calibrated, scenario, shadow=1.0)


def test_every_disagreement_counts(calibrated: Checkpoint) -> None:
    shadow, cascade = ShadowSampler(1.0), calibrated.policy("all")
    for agrees in (True, False, True, True):
        watched = shadow.observe(cascade, agrees)
    assert (watched.texts, watched.disagreements) == (4, 1)
    low, high = watched.bounds(0.05)
    assert 0 < low < 0.25 < high < 1
