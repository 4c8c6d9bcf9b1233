"""What a request may ask: a deadline, a cost, a confidence."""

from __future__ import annotations

import asyncio
from math import inf
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from nestling.models import Checkpoint, Predictor
from nestling.models.cascade.decisions import Limit
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer, embed
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.engine.latency import LatencyEstimator
from nestling.server.errors import Reason, RequestError

from ..engine.test_engine import GatedRunner, one, run, until
from ..serving import Server


def longest_path(calibrated: Checkpoint, texts: list[str]) -> str:
    """A text that every student is asked for."""
    predictor = Predictor(calibrated)
    return next(t for t in texts if len(predictor.predict([t])[0].steps) == 3)


def test_max_cost_is_never_exceeded(
    server: Server, calibrated: Checkpoint, texts: list[str]
) -> None:
    text = longest_path(calibrated, texts)
    whole = server.classify(text)["decision"]
    assert whole["limited_by"] is None
    for bound in (whole["relative_cost"] * 0.99, 0.9, 0.3, 0.1):
        decision = server.classify(text, max_cost=bound)["decision"]
        assert decision["relative_cost"] <= bound
        assert decision["limited_by"] == "max_cost"
        assert len(decision["path"]) < 3
        assert decision["student"] == decision["path"][-1]["student"]
    assert server.classify(text, max_cost=100)["decision"]["path"] == whole["path"]


def test_a_cost_that_cannot_be_met_is_refused(server: Server) -> None:
    response = server.client.post("/v1/classify", json={"inputs": "book", "max_cost": 0.001})
    assert response.status_code == 422
    error = response.json()["error"]
    assert (error["type"], error["field"]) == ("unmeetable", "max_cost")
    assert "max_cost: 0.001 of the TA's cost; 'tiny', the first that 'all' asks" in error["message"]
    assert error["actual"] > 0.001


def test_min_confidence_raises_the_thresholds(server: Server, texts: list[str]) -> None:
    usual = [server.classify(text)["decision"] for text in texts[:30]]
    strict = [server.classify(text, min_confidence=0.99)["decision"] for text in texts[:30]]
    assert sum(len(d["path"]) for d in strict) > sum(len(d["path"]) for d in usual)
    for decision in strict:
        *before, last = decision["path"]
        assert all(step["threshold"] == 0.99 and not step["accepted"] for step in before)
        assert decision["limited_by"] == (
            "min_confidence" if last["confidence"] < 0.99 and last["accepted"] else None
        )


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("deadline_ms", 0, "out_of_range"),
        ("deadline_ms", -5, "out_of_range"),
        ("deadline_ms", 1e9, "out_of_range"),
        ("max_cost", 0, "out_of_range"),
        ("min_confidence", 1.01, "out_of_range"),
        ("min_confidence", "high", "wrong_type"),
        ("max_cost", True, "wrong_type"),
    ],
)
def test_fields_out_of_range_are_refused(
    server: Server, field: str, value: object, kind: str
) -> None:
    response = server.client.post("/v1/classify", json={"inputs": "book", field: value})
    assert response.status_code == 422
    assert (response.json()["error"]["type"], response.json()["error"]["field"]) == (kind, field)


def test_headers_say_how_the_answer_came_to_be(server: Server) -> None:
    response = server.client.post("/v1/classify", json={"inputs": ["book a table", "six"]})
    answers, headers = response.json(), response.headers
    assert headers["x-nestling-student"] == ",".join(a["decision"]["student"] for a in answers)
    assert headers["x-nestling-path"] == ",".join(
        ">".join(step["student"] for step in a["decision"]["path"]) for a in answers
    )
    assert len(headers["x-nestling-confidence"].split(",")) == 2
    assert len(headers["x-nestling-cost"].split(",")) == 2
    assert headers["x-compute-type"] == "cpu"
    assert headers["x-compute-tokens"] == str(sum(a["decision"]["tokens"] for a in answers))
    for name in ("total", "tokenization", "queue", "inference"):
        assert int(headers[f"x-{name}-time"]) >= 0


def test_a_deadline_in_the_queue_is_a_timer(calibrated: Checkpoint) -> None:
    """The answer does not wait for the batch that runs."""

    async def scenario(service: Service, runner: GatedRunner) -> list[int]:
        runner.open.clear()
        running = asyncio.ensure_future(
            answer(service, one("play some music"), RequestConstraints("tiny"))
        )
        await until(lambda: runner.batches == [1])
        contract = RequestConstraints("tiny", deadline=perf_counter() + 0.3)
        with pytest.raises(RequestError, match="deadline_ms: passed while 1 of 1") as late:
            await answer(service, one("book a table"), contract)
        assert late.value.reason == Reason.DEADLINE
        assert late.value.status == 504
        assert not running.done()
        runner.open.set()
        await running
        await answer(service, one("turn off lights"), RequestConstraints("tiny"))
        return runner.batches

    assert run(calibrated, scenario) == [1, 1]  # the late one never ran


def test_a_deadline_between_stages_answers_by_what_there_is(
    calibrated: Checkpoint, texts: list[str]
) -> None:
    text = longest_path(calibrated, texts)

    async def scenario(service: Service, runner: GatedRunner) -> Any:
        contract = RequestConstraints(deadline=perf_counter() + 0.5)
        asked = asyncio.ensure_future(answer(service, one(text), contract))
        await until(lambda: runner.batches == [1, 1])  # the second stage is asked, and hangs
        return await asked

    async def hold(service: Service, runner: GatedRunner) -> Any:
        runner.hold_from = 2
        return await scenario(service, runner)

    [decision] = run(calibrated, hold).decisions
    assert decision.limited_by == Limit.DEADLINE
    assert [step.stage.student.name for step in decision.steps] == ["tiny"]
    assert decision.answered


def test_a_stage_that_would_not_fit_is_not_asked(calibrated: Checkpoint, texts: list[str]) -> None:
    text = longest_path(calibrated, texts)

    async def scenario(service: Service, runner: GatedRunner) -> Any:
        service.durations.observe(["small"], 60)
        return await answer(service, one(text), RequestConstraints(deadline=perf_counter() + 30))

    [decision] = run(calibrated, scenario).decisions
    assert decision.limited_by == Limit.DEADLINE
    assert len(decision.steps) == 1


def test_a_deadline_that_cannot_be_met_is_refused(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> None:
        service.durations.observe(["tiny"], 60)
        with pytest.raises(RequestError, match="'tiny' is predicted to take") as refused:
            await answer(
                service, one("book"), RequestConstraints("tiny", deadline=perf_counter() + 1)
            )
        assert refused.value.reason == Reason.UNMEETABLE
        assert runner.batches == []

    run(calibrated, scenario)


def test_tokens_are_counted_too(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> None:
        with pytest.raises(RequestError, match="0 tokens are waiting and 12 more would exceed"):
            await answer(service, Inputs(["book a"] * 3, single=False), RequestConstraints("tiny"))
        await answer(service, Inputs(["book a"] * 2, single=False), RequestConstraints("tiny"))

    run(calibrated, scenario, max_queued_tokens=10)


def test_a_student_that_was_never_timed_takes_no_time() -> None:
    durations = LatencyEstimator()
    assert durations.predict("tiny") == 0
    durations.observe(["tiny"], 0.01)
    assert 0.01 < durations.predict("tiny") < inf


def test_embeddings_are_pooled_hidden_states(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> Any:
        many = Inputs(["book a table", "play some music"], single=False)
        whole = await embed(service, many)
        part = await embed(service, many, "tiny", 7)
        with pytest.raises(RequestError, match="dimensions: 17; 'tiny' has from 1 to 16"):
            await embed(service, many, "tiny", 17)
        return whole, part

    whole, part = run(calibrated, scenario)
    assert whole.vectors.shape == (2, 32)
    assert part.vectors.shape == (2, 7)
    assert whole.tokens == 10
    for vectors in (whole.vectors, part.vectors):
        assert np.linalg.norm(vectors, axis=-1) == pytest.approx([1, 1])
