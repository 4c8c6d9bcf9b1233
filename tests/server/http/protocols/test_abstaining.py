"""A server whose policy answers texts out of scope without a label, asked over every protocol."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from statistics import quantiles
from types import SimpleNamespace

import pytest

from nestling.experiments.assignment import Assignment
from nestling.experiments.definition import Variant
from nestling.experiments.exposures import ExposureContext, RequestResult, exposures
from nestling.experiments.runtime import known_of
from nestling.models import Cascade, Checkpoint, Predictor, load_checkpoint
from nestling.models.cascade.decisions import Decision
from nestling.models.cascade.scope import ScopePromise
from nestling.models.checkpoint.save import write_calibration
from nestling.server.core.load_control import browned_out
from nestling.server.core.shadow import agrees

from ...serving import Server, serve


def gap(values: list[float]) -> float:
    """In the middle half, as far from any value as can be."""
    low, _, high = quantiles(sorted(values), n=4)
    middle = sorted(value for value in values if low <= value <= high)
    _, below, above = max((b - a, a, b) for a, b in pairwise(middle))
    return (below + above) / 2


@pytest.fixture(scope="module")
def abstaining(
    calibrated: Checkpoint, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """`all` escalates what is out of scope, and abstains; `lenient` escalates alone."""
    path = tmp_path_factory.mktemp("abstaining") / "tiny-intents"
    shutil.copytree(calibrated.path, path)
    stages = [
        replace(
            stage,
            scope=gap([d.answer.energy for d in Predictor(calibrated, name).predict(texts)]),
        )
        for stage, name in zip(
            calibrated.policy("all").stages, ("tiny", "small", "ta"), strict=True
        )
    ]
    promise = ScopePromise(0.5, 0.95, 100, (0.5, 0.5, 0.5))
    lenient = (*stages[:-1], replace(stages[-1], scope=0.0))
    cascades = {
        "all": Cascade("all", tuple(stages), scope=promise),
        "lenient": Cascade("lenient", lenient, scope=replace(promise, observed=(0.5, 0.5, 1.0))),
    }
    temperatures = {s.name: s.temperature for s in calibrated.students.values()}
    write_calibration(load_checkpoint(path), temperatures, cascades, "all")
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def running(abstaining: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("abstaining-server") / "log"
    with serve(abstaining.path, log, "--target-delay-ms", "0") as server:
        yield server


@pytest.fixture(scope="module")
def decisions(abstaining: Checkpoint, texts: list[str]) -> list[Decision]:
    """What is right, of the first forty texts: some have a label, and some have none."""
    found = Predictor(abstaining).predict(texts[:40])
    assert 3 < sum(decision.abstained for decision in found) < 37
    return found


def test_a_text_out_of_scope_is_never_accepted(
    abstaining: Checkpoint, decisions: list[Decision], texts: list[str]
) -> None:
    for decision in decisions:
        for step in decision.steps:
            assert step.inside == (step.energy >= step.stage.scope)
            assert step.accepted == (
                step.inside and (step.threshold == 0 or step.score > step.threshold)
            )
        assert decision.abstained == (not decision.answer.accepted)
        assert decision.answered
        assert decision.limited_by is None
        assert decision.walked_its_cascade
    predictor = Predictor(abstaining, "lenient")
    for strict, lenient in zip(decisions, predictor.predict(texts[:40]), strict=True):
        assert not lenient.abstained
        assert lenient.answer.label == strict.answer.label
        assert predictor.label(lenient) is not None
        assert (Predictor(abstaining).label(strict) is None) == strict.abstained


def test_an_experiment_knows_an_answer_without_a_label(
    abstaining: Checkpoint, calibrated: Checkpoint, decisions: list[Decision]
) -> None:
    """By a name that an outcome may have, too."""
    context = ExposureContext("r", datetime.now(UTC), [Assignment("e", "p", "u", Variant("a", 1))])
    labels = abstaining.architecture.head().labels
    for decision in decisions:
        answers = SimpleNamespace(decisions=[decision])
        result = RequestResult(200, 0.1, 1, abstaining.weights_sha256, answers)
        (exposure,) = exposures(context, result, labels.__getitem__, 0.0)
        if decision.abstained:
            assert exposure.label == "out_of_scope"
        else:
            assert exposure.label == labels[decision.answer.label]
    assert "out_of_scope" in known_of(abstaining, "float32").labels
    assert "out_of_scope" not in known_of(calibrated, "float32").labels


def test_the_ta_that_abstains_agrees_with_no_label(
    abstaining: Checkpoint, decisions: list[Decision], texts: list[str]
) -> None:
    """As the shadow holds what was served against the TA under the same policy."""
    stage = abstaining.policy().stages[-1]
    alone = replace(abstaining, cascades={"t": Cascade("t", (stage,))})
    for decision, asked in zip(decisions, Predictor(alone, "t").predict(texts[:40]), strict=True):
        if len(decision.steps) == 3:
            assert agrees(decision, asked.answer)
        elif asked.abstained:
            assert not agrees(decision, asked.answer)


def test_a_kept_answer_has_no_label_either(decisions: list[Decision]) -> None:
    for decision in decisions:
        kept = replace(decision, steps=list(decision.steps), cached=True)
        assert (kept.abstained, kept.answered) == (decision.abstained, True)


def test_a_brownout_leaves_scopes_as_they_are(abstaining: Checkpoint) -> None:
    strict, lenient = (abstaining.cascades[name] for name in ("all", "lenient"))
    for level in (1, 2, 3):
        assert browned_out(strict, level).abstains
        assert not browned_out(lenient, level).abstains
    assert browned_out(strict, 3).stages[0].scope == strict.stages[0].scope
    assert strict.at((0.5, 0.5)).abstains
    assert strict.at((0.5, 0.5)).policy == "all"


def test_native(
    running: Server, abstaining: Checkpoint, decisions: list[Decision], texts: list[str]
) -> None:
    response = running.client.post("/v1/classify", json={"inputs": texts[:40]})
    for shown, decision in zip(response.json(), decisions, strict=True):
        assert (shown["label"] is None) == decision.abstained
        assert shown["reason"] == ("out_of_scope" if decision.abstained else None)
        assert shown["score"] == pytest.approx(decision.answer.confidence, abs=2e-6)
        assert len(shown["decision"]["path"]) == len(decision.steps)
        last = shown["decision"]["path"][-1]
        assert (last["energy"] < last["scope"]) == decision.abstained
        assert last["accepted"] != decision.abstained
    without = sum(decision.abstained for decision in decisions)
    assert response.headers["x-nestling-abstained"] == str(without)
    labels = Predictor(abstaining, "lenient").predict(texts[:40]).told.labels
    given = running.classify(texts[:40], abstain=False, top_k=1)
    for one, shown, label in zip(given, response.json(), labels, strict=True):
        assert one["label"] == abstaining.architecture.head().labels[label]
        assert one["label"] == one["scores"][0]["label"]
        assert (one["reason"], one["score"]) == (shown["reason"], pytest.approx(shown["score"]))
    for shown in running.classify(texts[:40], model="lenient"):
        assert shown["label"] is not None
        assert shown["reason"] is None


@pytest.mark.parametrize("path", ["/", "/predict"])
def test_lists_of_scores_are_empty(
    running: Server, decisions: list[Decision], texts: list[str], path: str
) -> None:
    """Hugging Face's and text-embeddings-inference's."""
    inputs = [[text] for text in texts[:40]] if path == "/predict" else texts[:40]
    response = running.client.post(path, json={"inputs": inputs})
    assert response.status_code == 200, response.text
    for scores, decision in zip(response.json(), decisions, strict=True):
        assert bool(scores) != decision.abstained
    assert "x-nestling-abstained" in response.headers


def test_open_inference(running: Server, decisions: list[Decision], texts: list[str]) -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [40], "data": texts[:40]}
    response = running.client.post("/v2/models/auto/infer", json={"inputs": [tensor]})
    outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
    assert [label == "" for label in outputs["label"]] == [d.abstained for d in decisions]
    confidences = [decision.answer.confidence for decision in decisions]
    assert outputs["score"] == pytest.approx(confidences, abs=2e-6)


def test_it_is_counted(running: Server, decisions: list[Decision], texts: list[str]) -> None:
    before = running.metrics()
    running.classify(texts[:40])
    after = running.metrics()

    def rise(name: str) -> float:
        return after[name] - before[name]

    assert rise("nestling_abstained_total{policy=all}") == sum(d.abstained for d in decisions)
    for student in ("tiny", "small"):
        outside = sum(
            not step.inside
            for decision in decisions
            for step in decision.steps[: len(decision.steps) - 1]
            if step.stage.student.name == student
        )
        assert rise(f"nestling_scope_escalations_total{{student={student}}}") == outside
    outcome = "nestling_stage_answers_total{outcome=abstained,student=ta}"
    assert rise(outcome) == sum(d.abstained for d in decisions)


def test_what_is_served_says_so(running: Server, abstaining: Checkpoint) -> None:
    shown = running.client.get("/v1/models/all").json()
    scopes = [stage["scope"] for stage in shown["stages"]]
    assert scopes == [stage.scope for stage in abstaining.policy().stages]
    assert shown["scope"]["kept"] == 0.5
    again = Cascade.from_json("all", shown, abstaining.students)
    assert again == abstaining.cascades["all"]
    assert again.version("w" * 64) != abstaining.cascades["lenient"].version("w" * 64)


def test_a_budget_cuts_it_short_without_a_label_too(
    running: Server, abstaining: Checkpoint, texts: list[str]
) -> None:
    """Who was asked last found it out of scope: it does not become an answer for want of money."""
    first = Predictor(abstaining, "tiny").predict(texts[:40])
    stage = abstaining.policy().stages[0]
    answers = running.classify(texts[:40], max_cost=0.9)
    cut = 0
    for shown, alone in zip(answers, first, strict=True):
        if len(shown["decision"]["path"]) == 1:
            cut += 1
            assert (shown["label"] is None) == (alone.answer.energy < stage.scope)
    assert cut
