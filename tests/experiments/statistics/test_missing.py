"""What may be missing of an experiment, at which level it is tested, and what is found."""

from __future__ import annotations

from typing import Any

import pytest

from nestling.experiments.statistics.attrition import attrition_p_value, look_share
from nestling.experiments.statistics.missing import (
    ALPHA,
    PAIRS,
    Attrition,
    Coverage,
    attrition,
    levels,
)
from nestling.experiments.statistics.summary import Summary

from ..declared import parsed

THREE = [{"name": n, "weight": w, "policy": "auto"} for n, w in zip("abc", (2, 1, 1), strict=True)]
REWARD = {"metric": "reward", "kind": "mean", "better": "higher", "smallest_effect": 1}
GUARDED = [{"metric": "accuracy", "limit": 0.5}, {"metric": "latency_p99_ms", "limit": 50}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"error_rate": 1, "accuracy": 1}),
        ({"paired": 0.5}, {"error_rate": 1, "accuracy": 1 / 2, PAIRS: 1 / 2}),
        ({"primary": REWARD, "paired": 0.5}, {"error_rate": 1, "reward": 1}),
        (
            {"primary": REWARD, "guardrails": GUARDED},
            {"error_rate": 1, "accuracy": 1 / 2, "reward": 1 / 2},
        ),
        ({"primary": REWARD | {"metric": "pairs"}}, {"error_rate": 1, "pairs": 1}),
        ({"primary": {"metric": "latency_ms", "smallest_effect": 1}}, {"error_rate": 1}),
        ({"primary": {"metric": "error_rate", "smallest_effect": 1}}, {}),
    ],
)
def test_the_error_is_shared_by_the_metrics(fields: Any, expected: dict[str, float]) -> None:
    found = levels(parsed(**fields))
    assert found == pytest.approx({name: ALPHA * share for name, share in expected.items()})
    assert sum(found.values()) <= 2 * ALPHA


def seen(share: float, units: int) -> Coverage:
    return Coverage(Summary(units, share, units * share * (1 - share)), units, round(share * units))


def found(*stopped: str, b: float = 0.9, c: float = 0.8) -> Attrition:
    coverage = {"a": seen(0.9, 4000), "b": seen(b, 2000), "c": seen(c, 2000)}
    return attrition(parsed(variants=THREE), "accuracy", coverage, stopped)


def test_each_treatment_is_compared_with_control() -> None:
    first = found()
    once = attrition_p_value(seen(0.8, 2000).shares, seen(0.9, 4000).shares, (1, 2))
    assert (first.treatment, first.observed, first.found) == ("c", 7000, True)
    assert first.p == pytest.approx(2 * once / look_share(7000, 10_000))
    assert not found(c=0.9).found


def test_what_a_guardrail_stopped_is_left_out() -> None:
    assert found("c").treatment == "b"
    assert not found("c").found
    for all_of_them in (("b", "c"), ("a",)):
        nothing = found(*all_of_them)
        assert (nothing.treatment, nothing.p, nothing.found) == (None, 1, False)


def test_nothing_has_been_seen() -> None:
    nothing = {name: Coverage() for name in "abc"}
    assert attrition(parsed(variants=THREE), "accuracy", nothing, ()).p == 1
