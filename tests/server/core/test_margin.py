"""A cascade whose thresholds are of the margin: how it answers, and what its shadow records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nestling.models import Cascade, Checkpoint, Predictor, Stage
from nestling.models.calibration.recalibrate import recalibrate
from nestling.models.calibration.records import ShadowRecord, read_records
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.columns import Decisions
from nestling.models.cascade.decisions import Decision, Limit
from nestling.models.cascade.score import Score
from nestling.models.evaluation.replay import ways
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.service import Service
from nestling.server.http.protocols.native.classification import classifications

from ..engine.test_engine import GatedRunner, one, run, until


@pytest.fixture(scope="session")
def by_margin(calibrated: Checkpoint, texts: list[str]) -> Checkpoint:
    """Half of the texts are passed on by each stage, none of them at the threshold."""
    stages = []
    for name in ("tiny", "small"):
        student = calibrated.students[name]
        asked = replace(
            calibrated, cascades={"m": Cascade("m", (Stage(student, 0, Score.MARGIN),))}
        )
        scores = sorted({d.answer.score for d in Predictor(asked, "m").predict(texts)})
        middle = scores[len(scores) // 4 : -len(scores) // 4]
        widest = int(np.diff(middle).argmax())
        stages.append(Stage(student, sum(middle[widest : widest + 2]) / 2, Score.MARGIN))
    stages.append(Stage(calibrated.ta, 0.0, Score.MARGIN))
    return replace(calibrated, cascades={"all": Cascade("all", tuple(stages))}, default="all")


def answered(
    checkpoint: Checkpoint, texts: list[str], constraints: RequestConstraints, log: Path
) -> list[Decision]:
    """By a service that has all of it recorded."""
    return [decision for part in asked(checkpoint, texts, constraints, log) for decision in part]


def asked(
    checkpoint: Checkpoint, texts: list[str], constraints: RequestConstraints, log: Path
) -> list[Decisions]:
    """The same, one request for each text."""

    async def scenario(service: Service, runner: GatedRunner) -> list[Decisions]:
        runner.poison = -1
        decisions: list[Decisions] = []
        for row, text in enumerate(texts):
            decisions += (await answer(service, one(text), constraints)).parts
            await until(lambda row=row: log.exists() and lines(log) > row)  # type: ignore[misc]
        return decisions

    found: list[Decisions] = run(checkpoint, scenario, shadow=1.0, shadow_log=log)  # type: ignore[arg-type]
    return found


def lines(log: Path) -> int:
    """Whole ones: of a write across two pages of the file, the first can be seen alone."""
    return log.read_bytes().count(b"\n")


def read(log: Path) -> list[ShadowRecord]:
    return [ShadowRecord.from_json(line) for line in log.read_bytes().splitlines(keepends=True)]


def test_the_margin_decides_and_the_confidence_is_shown(
    by_margin: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    requests = asked(by_margin, texts[:60], RequestConstraints(), tmp_path / "log")
    decisions = [decision for request in requests for decision in request]
    for request, decision in zip(requests, decisions, strict=True):
        [shown] = classifications(by_margin, request)
        assert shown["score"] == shown["decision"]["path"][-1]["confidence"]
        for step in shown["decision"]["path"]:
            assert step["score"] == "margin"
            assert step["confidence"] <= step["score_value"] <= 1
            assert step["accepted"] == (step["score_value"] > step["threshold"])
        whole = np.exp(decision.logits / np.float32(decision.answer.stage.student.temperature))
        first, second = sorted(whole, reverse=True)[:2]
        assert decision.answer.score == pytest.approx(first / (first + second), abs=1e-5)
        assert decision.answer.confidence == pytest.approx(first / whole.sum(), abs=1e-5)
    assert {len(decision.steps) for decision in decisions} == {1, 2, 3}

    weights = by_margin.weights_sha256
    found = read_records(tmp_path / "log", weights, [by_margin.policy()], "float32")
    assert not found.refused
    for decision, record in zip(decisions, found.usable["all"], strict=True):
        assert all(stage.margin is not None for stage in record.stages)
        (way,) = ways(record, by_margin.policy(), len(by_margin.architecture.head().labels))
        assert way.student == decision.answer.stage.student.name
        assert way.label == decision.answer.label


def test_a_least_confidence_is_asked_for_besides(
    by_margin: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    usual, strict = (
        answered(by_margin, texts[:40], constraints, tmp_path / str(index))
        for index, constraints in enumerate(
            (RequestConstraints(), RequestConstraints(min_confidence=0.6))
        )
    )
    assert sum(len(d.steps) for d in strict) > sum(len(d.steps) for d in usual)
    for decision in strict:
        assert decision.may_be_cut_by is Limit.MIN_CONFIDENCE
        *before, last = decision.steps
        assert all(s.confidence < 0.6 or s.score < s.threshold + 1e-4 for s in before)
        assert last.confidence >= 0.6 or last.stage.threshold == 0
        assert (decision.limited_by is Limit.MIN_CONFIDENCE) == (last.confidence < 0.6)
    assert all(decision.may_be_cut_by is None for decision in usual)


def test_its_version_tells_of_the_score(by_margin: Checkpoint) -> None:
    cascade, weights = by_margin.policy(), by_margin.weights_sha256
    by_probability = [replace(stage, score=Score.PROBABILITY) for stage in cascade.stages]
    other = replace(cascade, stages=tuple(by_probability))
    assert cascade.version(weights) != other.version(weights)
    assert all("score" not in stage for stage in other.to_json()["stages"])
    assert Cascade.from_json("all", cascade.to_json(), by_margin.students) == cascade
    assert {stage.score for stage in cascade.at((0.5, 0.5)).stages[:-1]} == {Score.PROBABILITY}
    stage = {**cascade.to_json()["stages"][0], "score": "gini"}
    with pytest.raises(
        ValueError, match="tiny: score: 'gini' is none of probability, margin, entr"
    ):
        Cascade.from_json("all", {**cascade.to_json(), "stages": [stage]}, by_margin.students)


def test_records_of_another_score_are_refused(
    by_margin: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    answered(by_margin, texts[:3], RequestConstraints(), log)
    without = [
        {**record, "stages": [{**stage, "margin": None} for stage in record["stages"]]}
        for record in map(json.loads, log.read_text().splitlines())
    ]  # fmt: skip
    log.write_text("".join(json.dumps(record) + "\n" for record in without))
    found = read_records(log, by_margin.weights_sha256, [by_margin.policy()], "float32")
    assert not found.usable
    assert found.refused == {"without the score of its thresholds": 3}


def test_the_shadow_may_choose_between_the_scores_it_recorded(
    by_margin: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    answered(by_margin, texts, RequestConstraints(), log)
    result = recalibrate(by_margin.policy(), read(log), RiskTarget(0.6, 0.8, "disagreement"))
    assert {stage.score for stage in result.cascade.stages} == {result.choice.score}
    nearly = replace(by_margin.policy(), stages=tuple(
        replace(s, student=replace(s.student, temperature=s.student.temperature + 1e-9))
        for s in by_margin.policy().stages
    ))  # fmt: skip
    weights = by_margin.weights_sha256
    assert len(read_records(log, weights, [nearly], "float32").usable["all"]) == len(texts)
