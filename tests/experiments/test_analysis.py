"""From the record to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nestling.experiments.analysis import analyse, violations
from nestling.experiments.records import Exposure
from nestling.experiments.store.database import open_database, transaction

from .declared import parsed
from .store.samples import exposure, receive, reward, write

CLICKS = {"metric": "reward", "kind": "rate", "better": "higher", "smallest_effect": 0.1}


def rows(requests: int, **fields: Any) -> list[Exposure]:
    """Every second unit in the treatment, one request each."""
    return [
        exposure(
            number,
            experiment="smaller",
            variant=("control", "small")[number % 2],
            unit=f"unit-{number}",
            **fields,
        )
        for number in range(requests)
    ]


def test_a_metric_without_pairs_is_judged_by_its_lifts(tmp_path: Path) -> None:
    """Both variants may answer a request, but its outcome is of the answer that was served."""
    experiment = parsed(primary=CLICKS, paired=1)
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    write(engine, rows(400, paired=True))
    receive(engine, [reward(number, float(number % 4 == 1)) for number in range(400)])
    with transaction(engine) as connection:
        analysis = analyse(connection, experiment, {})
    _, small = analysis.report.variants
    assert small.pairs is None
    assert small.lift is not None
    assert small.lift.estimate == pytest.approx(0.5)
    assert analysis.report.verdict.winner == "small"
    assert analysis.report.verdict.sentence.startswith("'small' is better than control")


def test_each_variant_violates_at_most_one_guardrail(tmp_path: Path) -> None:
    guardrails = [
        {"metric": "error_rate", "limit": 0.05},
        {"metric": "error_rate", "margin": 0.0},
        {"metric": "latency_p50_ms", "limit": 5},
    ]
    experiment = parsed(guardrails=guardrails)
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    failing = [exposure for exposure in rows(400, status=500) if exposure.variant == "small"]
    write(engine, [*failing, *(each for each in rows(400) if each.variant == "control")])
    with transaction(engine) as connection:
        found = violations(connection, experiment, {})
        again = violations(connection, experiment, {"small": "stopped before"})
    assert {each.variant: each.metric for each in found} == {
        "small": "error_rate",
        "control": "latency_p50_ms",
    }
    assert [each.variant for each in again] == ["control"]
