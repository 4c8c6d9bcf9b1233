"""Thresholds from shadow records: what is used, what is refused, and that the promise holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nestling.models import Cascade, DataError, NestlingError, Stage, Student
from nestling.models.calibration.cost import TextSeconds, TimeModel
from nestling.models.calibration.evidence import accepts
from nestling.models.calibration.recalibrate import recalibrate
from nestling.models.calibration.records import (
    AskedStudent,
    ShadowRecord,
    digest,
    previous,
    read_records,
)
from nestling.models.calibration.target import RiskTarget
from nestling.models.nested.spec import StudentSpec
from nestling.models.precision import margin_of

from ...conftest import tiny_architecture, tiny_students

SECONDS = {"tiny": 0.03, "small": 0.13, "ta": 1.0}
BY = TimeModel({name: TextSeconds(each, 0.0) for name, each in SECONDS.items()}, "f11e" * 16)
WEIGHTS = "f00d" * 16
TARGET = RiskTarget(0.03, 0.9, "disagreement")
POPULATION = 20_000


@cache
def cascade() -> Cascade:
    architecture = tiny_architecture()
    specs = {**tiny_students(), "ta": StudentSpec.full(architecture)}
    students = [Student.of(name, spec, architecture, 1.25) for name, spec in specs.items()]
    thresholds = (0.9, 0.8, 0.0)
    return Cascade("all", tuple(map(Stage, students, thresholds)))


@cache
def population() -> tuple[ShadowRecord, ...]:
    """Records of texts of random difficulty, whose students are sure and wrong now and then."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=POPULATION)
    scores = [skill - 1.3 * difficulty + rng.normal(scale=0.7, size=POPULATION) for skill in (2, 3)]
    confidence = 1 / (1 + np.exp(-np.array(scores)))
    label = (rng.random(confidence.shape) >= confidence).astype(int)  # the TA says 0
    return tuple(
        record(row, confidence[:, row].tolist(), label[:, row].tolist())
        for row in range(POPULATION)
    )


def record(second: int, confidence: Sequence[float], label: Sequence[int]) -> ShadowRecord:
    names = [stage.student.name for stage in cascade().stages]
    stages = zip(names, [*label, 0], [*confidence, 0.99], strict=True)
    return ShadowRecord(
        time=f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}+00:00",
        weights_sha256=WEIGHTS,
        cascade="all",
        version="v",
        precision="float32",
        tokens=5 + second % 7,
        stages=tuple(
            AskedStudent(n, 1.25, answer, float(np.float32(c))) for n, answer, c in stages
        ),
        served="ta",
        ta=0,
    )


def true_risk(found: Cascade) -> float:
    """Of the whole population: answered before the TA, and not as the TA answers."""
    names = [stage.student.name for stage in cascade().stages]
    records = population()
    waiting, lost = np.ones(len(records), bool), np.zeros(len(records), bool)
    for stage in found.stages[:-1]:
        row = names.index(stage.student.name)
        confidence = np.array([r.stages[row].confidence for r in records], np.float32)
        taken = waiting & accepts(confidence, stage.threshold, margin_of("float32"))
        lost |= taken & np.array([r.stages[row].label != r.ta for r in records])
        waiting &= ~taken
    return float(lost.mean())


@pytest.mark.slow
def test_the_promise_is_broken_in_at_most_delta_of_the_redraws() -> None:
    redraws, broken, costs = 120, 0, []
    for seed in range(redraws):
        rows = np.random.default_rng(seed).integers(0, POPULATION, 900)
        drawn = [population()[row] for row in rows]
        found = recalibrate(cascade(), drawn, TARGET, BY).cascade
        broken += true_risk(found) > TARGET.alpha
        assert found.forecast is not None
        assert found.forecast.relative_seconds is not None
        costs.append(found.forecast.relative_seconds)
    # Three standard deviations above δ = 10 % of 120.
    assert broken <= 12 + 3 * (120 * 0.1 * 0.9) ** 0.5
    assert np.mean(costs) < 0.8


def test_what_it_rests_on_is_written_down() -> None:
    drawn = population()[:900]
    result = recalibrate(cascade(), drawn, TARGET, BY)
    guarantee = result.cascade.guarantee
    assert guarantee is not None
    assert (guarantee.loss, guarantee.source) == ("disagreement", "shadow")
    assert (guarantee.since, guarantee.until) == (drawn[0].time, drawn[-1].time)
    assert guarantee.examples + guarantee.ordering_examples == 900
    assert guarantee.data_sha256 == digest(drawn)
    assert guarantee.weights_sha256 == WEIGHTS
    assert {s.student.temperature for s in result.cascade.stages} == {1.25}
    assert recalibrate(cascade(), drawn, TARGET, BY).cascade == result.cascade
    assert result.choice.losses <= result.choice.allowed


def test_too_few_records_say_how_many_it_takes() -> None:
    with pytest.raises(DataError, match=r"cascade 'all': 70 examples are too few .* it takes \d+"):
        recalibrate(cascade(), population()[:70], TARGET, BY)


def test_precisions_are_not_mixed() -> None:
    drawn = [*population()[:900], replace(population()[0], precision="bfloat16")]
    with pytest.raises(NestlingError, match="computed in bfloat16 and float32"):
        recalibrate(cascade(), drawn, TARGET, BY)


def test_refuses_what_says_nothing_of_these_cascades(tmp_path: Path) -> None:
    good = population()[0]
    colder = replace(good, stages=(replace(good.stages[0], temperature=1.0), *good.stages[1:]))
    lines = [
        good.to_json(),
        replace(good, version="other thresholds").to_json(),
        replace(good, weights_sha256="beef").to_json(),
        replace(good, weights_sha256="beef").to_json(),
        replace(good, cascade="gone").to_json(),
        replace(good, precision="int8").to_json(),
        colder.to_json(),
        good.to_json()[:-20] + b"\n",
        b"[]\n",
        b'{"stages": [3]}\n',
    ]
    path = tmp_path / "shadow.jsonl"
    path.write_bytes(b"".join(lines[1:]))
    previous(path).write_bytes(lines[0])
    found = read_records(path, WEIGHTS, [cascade()], "float32")
    assert found.usable == {"all": [good, replace(good, version="other thresholds")]}
    assert found.refused == {
        "of other weights": 2,
        "of other cascades": 1,
        "computed in int8": 1,
        "at other temperatures": 1,
        "damaged": 3,
    }
    rounded = read_records(path, WEIGHTS, [cascade()], "int8")
    assert [r.precision for r in rounded.usable["all"]] == ["int8"]
    with pytest.raises(DataError, match="no such file"):
        read_records(tmp_path / "none", WEIGHTS, [cascade()], "float32")


def test_a_stage_that_no_longer_serves_may_be_in_the_records() -> None:
    shorter = replace(cascade(), stages=(cascade().stages[0], cascade().stages[2]))
    found = recalibrate(shorter, population()[:900], TARGET, BY).cascade
    assert [stage.student.name for stage in found.stages] == ["tiny", "ta"]
