"""Replaying by hand: what a record settles, what it leaves open, and within which bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from nestling.models import Cascade, Stage, Student
from nestling.models.calibration.evidence import required
from nestling.models.calibration.records import AskedStudent, ShadowRecord
from nestling.models.cascade.score import Score
from nestling.models.evaluation.replay import (
    Range,
    Way,
    as_served,
    confidence_at,
    margin_at,
    replay,
    ways,
)
from nestling.models.nested.spec import Flops, StudentSpec

SPEC = StudentSpec(layers=(0,), dim=8, attention_heads=(1,), ffn=(8,))
COSTS = {"tiny": 1.0, "small": 10.0, "ta": 100.0}
"""FLOPs of a token."""
STUDENTS = {name: Student(name, SPEC, Flops(0, cost, 0), 0, 1.5) for name, cost in COSTS.items()}
LABELS = 5


def cascade(*stages: tuple[str, float], temperature: float = 1.5) -> Cascade:
    return Cascade(
        "c",
        tuple(
            Stage(replace(STUDENTS[name], temperature=temperature), threshold)
            for name, threshold in stages
        ),
    )


ALL = cascade(("tiny", 0.9), ("small", 0.8), ("ta", 0.0))


def record(served: str, tokens: int = 2, /, **stages: tuple[int, float]) -> ShadowRecord:
    """stages: each student's label and confidence; the TA's is last."""
    asked = tuple(AskedStudent(name, 1.5, *answer) for name, answer in stages.items())
    return ShadowRecord("t", "w", "c", "v", "float32", tokens, asked, served, asked[-1].label)


SURE = record("tiny", 3, tiny=(1, 0.95), small=(1, 0.9), ta=(1, 0.9))
WRONG = record("tiny", 3, tiny=(2, 0.95), small=(1, 0.7), ta=(1, 0.9))
PASSED_ON = record("small", 2, tiny=(3, 0.85), small=(1, 0.9), ta=(1, 0.9))
HARD = record("ta", 1, tiny=(3, 0.2), small=(2, 0.3), ta=(4, 0.5))
RECORDS = [SURE, WRONG, PASSED_ON, HARD]


def test_the_same_policy_gives_what_was_served() -> None:
    again, served = replay(ALL, RECORDS, STUDENTS, LABELS), as_served(RECORDS, STUDENTS)
    assert replace(again, policy="as served") == served
    assert again.answers_known == again.costs_known == again.texts == 4
    assert again.shares == {"tiny": (0.5, 0.5), "small": (0.25, 0.25), "ta": (0.25, 0.25)}
    assert again.disagreement == (0.25, 0.25)
    assert again.changed == (0, 0)
    # tiny alone for 3 + 3 tokens; tiny and small for 2; all three for 1; the TA for all 9.
    assert again.relative_flops == pytest.approx(((6 + 22 + 111) / 900,) * 2)
    assert again.flops_against_served == (1, 1)


def test_other_thresholds_change_answers_and_cost() -> None:
    stricter = replay(cascade(("tiny", 0.96), ("ta", 0.0)), RECORDS, STUDENTS, LABELS)
    assert stricter.shares == {"tiny": (0, 0), "ta": (1, 1)}
    assert stricter.disagreement == (0, 0)
    assert stricter.changed == (0.25, 0.25)  # the one that tiny had wrong
    assert stricter.relative_flops == pytest.approx((1.01, 1.01))
    assert stricter.flops_against_served == pytest.approx((909 / 139,) * 2)
    laxer = replay(cascade(("tiny", 0.8), ("ta", 0.0)), RECORDS, STUDENTS, LABELS)
    assert laxer.disagreement == (0.5, 0.5)
    assert laxer.shares == {"tiny": (0.75, 0.75), "ta": (0.25, 0.25)}


def test_the_interval_is_clopper_pearsons() -> None:
    low, high = replay(ALL, RECORDS, STUDENTS, LABELS).interval
    assert low == pytest.approx(beta.ppf(0.025, 1, 4))
    assert high == pytest.approx(beta.ppf(0.975, 2, 3))
    assert replay(ALL, [SURE], STUDENTS, LABELS).interval == (0, pytest.approx(0.975))


def test_a_student_that_was_not_asked_leaves_a_range() -> None:
    seen = [
        record("tiny", 1, tiny=(1, 0.95), ta=(1, 0.9)),
        record("ta", 1, tiny=(2, 0.5), ta=(1, 0.9)),
    ]
    alone = replay(cascade(("small", 0.0)), seen, STUDENTS, LABELS)
    assert (alone.answers_known, alone.costs_known) == (0, 2)
    assert alone.disagreement == alone.changed == (0, 1)
    assert alone.interval == (0, 1)
    assert alone.relative_flops == pytest.approx((0.1, 0.1))
    assert alone.shares == {"small": (1, 1)}
    gated = replay(ALL, seen, STUDENTS, LABELS)
    assert (gated.answers_known, gated.costs_known) == (1, 1)
    assert gated.shares == {"tiny": (0.5, 0.5), "small": (0, 0.5), "ta": (0, 0.5)}
    assert gated.disagreement == (0, 0.5)
    assert gated.relative_flops == pytest.approx((12 / 200, 112 / 200))
    assert ways(seen[1], ALL, LABELS) == [Way("small", None, 11), Way("ta", 1, 111)]


def test_where_all_ways_give_one_label_only_the_cost_is_open() -> None:
    seen = [record("ta", 1, tiny=(1, 0.85), ta=(1, 0.9))]
    other = replay(cascade(("tiny", 0.87), ("ta", 0.0), temperature=1.4), seen, STUDENTS, LABELS)
    assert (other.answers_known, other.costs_known) == (1, 0)
    assert other.disagreement == other.changed == (0, 0)
    assert other.relative_flops == pytest.approx((0.01, 1.01))


def test_a_student_alone_does_not_depend_on_the_temperature() -> None:
    alone = replay(cascade(("tiny", 0.0), temperature=9.0), RECORDS, STUDENTS, LABELS)
    assert alone.answers_known == alone.costs_known == 4
    assert alone.disagreement == (0.75, 0.75)


def test_the_gates_margin_is_that_of_the_record() -> None:
    at = float(required(0.9, 1e-5))
    for confidence, precision, student in [
        (at, "float32", "tiny"),
        (float(np.nextafter(np.float32(at), np.float32(0))), "float32", "ta"),
        (at, "int8", "tiny"),
        (0.905, "bfloat16", "ta"),
        (0.905, "float16", "tiny"),
    ]:
        seen = replace(record("tiny", 1, tiny=(1, confidence), ta=(1, 0.9)), precision=precision)
        (way,) = ways(seen, cascade(("tiny", 0.9), ("ta", 0.0)), LABELS)
        assert way.student == student


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=12),
    st.floats(0.2, 5),
    st.floats(0.2, 5),
)
def test_bounds_at_another_temperature_hold_the_truth(
    logits: list[float], before: float, after: float
) -> None:
    def confidence(temperature: float) -> float:
        scaled = np.array(logits, np.float32) / np.float32(temperature)
        exponents = np.exp(scaled - scaled.max())
        return float(exponents.max() / exponents.sum(dtype=np.float32))

    asked = AskedStudent("tiny", before, 0, min(confidence(before), 1.0))
    low, high = confidence_at(after, asked, len(logits))
    assert low <= confidence(after) <= high


def test_bounds_are_those_that_are_reached() -> None:
    """0.5 among five labels, twice as cold: the rest lies on one label, or evenly on four."""
    low, high = confidence_at(0.75, AskedStudent("tiny", 1.5, 0, 0.5), 5)
    assert low == pytest.approx(0.5, abs=1e-5)
    assert high == pytest.approx(0.25 / (0.25 + 4 * 0.125**2), abs=1e-5)
    hot = confidence_at(3.0, AskedStudent("tiny", 1.5, 0, 0.5), 5)
    assert hot == pytest.approx((1 / 3, 0.5), abs=1e-5)
    assert confidence_at(1.5, AskedStudent("tiny", 1.5, 0, 0.7), 5) == Range(0.7, 0.7)
    two = confidence_at(3.0, AskedStudent("tiny", 1.5, 0, 0.8), 2)
    assert two == pytest.approx((2 / 3, 2 / 3), abs=1e-5)


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=12),
    st.floats(0.2, 5),
    st.floats(0.2, 5),
    st.booleans(),
)
def test_bounds_of_a_margin_hold_the_truth(
    logits: list[float], before: float, after: float, recorded: bool
) -> None:
    """Where it was recorded they are nearly one number; else they follow from the confidence."""

    def scores(temperature: float) -> tuple[float, float]:
        scaled = np.sort(np.array(logits, np.float32) / np.float32(temperature))
        odds = np.exp(scaled - scaled[-1])
        return float(1 / odds.sum(dtype=np.float32)), float(1 / (1 + odds[-2]))

    confidence, margin = scores(before)
    asked = AskedStudent("tiny", before, 0, min(confidence, 1.0), margin if recorded else None)
    low, high = margin_at(after, asked, len(logits))
    assert low <= scores(after)[1] <= high
    if recorded and after >= before and margin < 0.999:
        assert high - low < 1e-4


def test_a_policy_by_the_margin_is_replayed() -> None:
    def stage(name: str, threshold: float) -> Stage:
        return Stage(replace(STUDENTS[name], temperature=1.5), threshold, Score.MARGIN)

    policy = Cascade("m", (stage("tiny", 0.9), stage("ta", 0.0)))
    tiny, ta = AskedStudent("tiny", 1.5, 2, 0.6, 0.95), AskedStudent("ta", 1.5, 1, 0.9, 0.99)
    seen = ShadowRecord("t", "w", "c", "v", "float32", 1, (tiny, ta), "tiny", 1)
    assert ways(seen, policy, LABELS) == [Way("tiny", 2, 1)]
    lower = replace(seen, stages=(replace(tiny, margin=0.85), ta))
    assert ways(lower, policy, LABELS) == [Way("ta", 1, 101)]
    # A confidence of 0.6 leaves from 0.1 to 0.4 to the runner-up: from 0.6 to 0.857.
    unknown = replace(seen, stages=(replace(tiny, margin=None), ta))
    assert ways(unknown, policy, LABELS) == [Way("ta", 1, 101)]
    policy = Cascade("m", (stage("tiny", 0.8), stage("ta", 0.0)))
    assert ways(unknown, policy, LABELS) == [Way("tiny", 2, 1), Way("ta", 1, 101)]
