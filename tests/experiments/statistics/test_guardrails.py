"""A variant that does harm is stopped, with the reason; one that does not is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nestling.experiments.definition import Guardrail
from nestling.experiments.metrics import GUARDED
from nestling.experiments.statistics.guardrails import violation
from nestling.experiments.statistics.summary import Summary

NONE = Summary()


def guardrail(metric: str, **fields: Any) -> Guardrail:
    return Guardrail(GUARDED[metric], **fields)


def rate(bad: int, n: int) -> Summary:
    return Summary.of([1.0] * bad + [0.0] * (n - bad))


def test_an_error_rate_above_its_limit() -> None:
    found = violation(guardrail("error_rate", limit=0.02), "small", rate(40, 400), NONE)
    assert found is not None
    assert found.why == (
        "'small' is stopped: error_rate is 10 %, at least 5.287 %, and the limit is 2 %, after 400 "
        "units"
    )
    assert (found.metric, found.units, found.observed) == ("error_rate", 400, 0.1)
    assert found.proven == pytest.approx(0.0529, abs=1e-4)


def test_a_p99_above_its_limit() -> None:
    found = violation(guardrail("latency_p99_ms", limit=250), "small", rate(20, 400), NONE)
    assert found is not None
    assert "5 % of a unit's requests took longer than 250 ms" in found.why
    assert "latency_p99_ms allows 1 %" in found.why
    assert violation(guardrail("latency_p95_ms", limit=250), "small", rate(20, 400), NONE) is None


def test_an_accuracy_below_its_limit() -> None:
    found = violation(guardrail("accuracy", limit=0.9), "small", rate(800, 1000), NONE)
    assert found is not None
    assert "accuracy is 80 %, at most 84" in found.why
    assert found.proven < 0.9
    assert violation(guardrail("accuracy", limit=0.9), "small", rate(920, 1000), NONE) is None


def test_a_cost_above_its_limit() -> None:
    costs = Summary.of(np.random.default_rng(0).exponential(3.0, 500))
    found = violation(guardrail("cost", limit=2), "small", costs, NONE)
    assert found is not None
    assert "cost is 3.289, at least 2.78" in found.why
    few = Summary.of(np.random.default_rng(0).exponential(3.0, 99))
    assert violation(guardrail("cost", limit=0.1), "small", few, NONE) is None
    assert violation(guardrail("cost", limit=3), "small", costs, NONE) is None


@pytest.mark.parametrize(
    ("metric", "treatment", "control", "words"),
    [
        ("error_rate", rate(200, 1000), rate(50, 1000), "error_rate is 15 points above control's"),
        ("accuracy", rate(800, 1000), rate(950, 1000), "accuracy is 15 points below control's"),
        (
            "cost",
            Summary.of(np.linspace(2, 4, 500)),
            Summary.of(np.linspace(1, 3, 500)),
            "cost is 1 above control's",
        ),
    ],
)
def test_worse_than_control_by_more_than_the_margin(
    metric: str, treatment: Summary, control: Summary, words: str
) -> None:
    found = violation(guardrail(metric, margin=0.02), "small", treatment, control)
    assert found is not None
    assert words in found.why
    assert found.observed == pytest.approx(treatment.mean - control.mean)
    assert abs(found.proven) < abs(found.observed)
    assert found.proven * found.observed > 0
    assert violation(guardrail(metric, margin=0.02), "small", control, treatment) is None
    assert violation(guardrail(metric, margin=0.02), "small", control, control) is None
    assert violation(guardrail(metric, margin=0.5), "small", NONE, NONE) is None


@pytest.mark.parametrize(
    ("metric", "fields", "true"),
    [
        ("error_rate", {"limit": 0.02}, 0.02),
        ("latency_p99_ms", {"limit": 100}, 0.01),
        ("accuracy", {"limit": 0.9}, 0.9),
        ("error_rate", {"margin": 0.0}, 0.05),
        ("accuracy", {"margin": 0.0}, 0.95),
    ],
)
def test_a_variant_at_the_limit_is_seldom_stopped(
    metric: str, fields: dict[str, float], true: float
) -> None:
    rail, rng, runs = guardrail(metric, **fields, confidence=0.95), np.random.default_rng(0), 300
    stopped = 0
    for _ in range(runs):
        treatment = control = Summary()
        for _ in range(20):
            treatment = treatment.merge(rate(int(rng.binomial(100, true)), 100))
            control = control.merge(rate(int(rng.binomial(100, true)), 100))
            if violation(rail, "small", treatment, control):
                stopped += 1
                break
    assert stopped <= 0.05 * runs


def test_harm_is_found_soon() -> None:
    rng, values = np.random.default_rng(0), Summary()
    for _ in range(10):
        values = values.merge(rate(int(rng.binomial(50, 0.1)), 50))
        if violation(guardrail("error_rate", limit=0.01), "small", values, NONE):
            break
    assert values.n <= 300


def test_refuses_a_rate_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"mean: 1\.5"):
        violation(guardrail("error_rate", limit=0.1), "small", Summary(10, 1.5), NONE)
