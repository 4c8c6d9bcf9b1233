"""From the record to the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nestling.experiments.analysis import analyse, report_of, violations
from nestling.experiments.records import Exposure, Outcome
from nestling.experiments.statistics.missing import PAIRS
from nestling.experiments.statistics.report import Report
from nestling.experiments.statistics.verdict import Conclusion
from nestling.experiments.store.database import open_database, transaction

from .declared import parsed
from .store.samples import exposure, receive, reward, write

DAY = 86_400

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


def reported(folder: Path, exposures: list[Exposure], labelled: list[int], **fields: Any) -> Report:
    """The present report, with the right answer of so many requests, each a day later."""
    engine = open_database(f"sqlite:///{folder / 'store.db'}")
    write(engine, exposures)
    labels = [
        Outcome(metric="label", value="music", request_id=f"request-{number}")
        for number in labelled
    ]
    for begin in range(0, len(labels), 500):
        receive(engine, labels[begin : begin + 500], DAY + labelled[begin])
    with transaction(engine) as connection:
        found = report_of(connection, parsed(**fields), {})
    engine.dispose()
    return found


def wrong(number: int) -> bool:
    """Of both variants one answer in ten."""
    return number // 2 % 10 == 0


def answers(requests: int) -> list[Exposure]:
    return [
        replace(row, label="money") if wrong(number) else row
        for number, row in enumerate(rows(requests))
    ]


def test_labels_that_one_variant_lacks_make_no_winner(tmp_path: Path) -> None:
    """A true A/A: half of the treatment's wrong answers never get a label."""
    labelled = [n for n in range(8000) if not (wrong(n) and n % 2 and n // 2 % 20)]
    found = reported(tmp_path, answers(8000), labelled)
    _, small = found.variants
    assert found.sample_ratio_p == 1
    assert small.lift is not None
    assert small.lift.estimate == pytest.approx(0.0474, abs=0.001)
    assert small.lift.interval is not None
    assert small.lift.interval.low > 0  # it would be the winner
    assert (found.verdict.outcome, found.verdict.winner) == (Conclusion.ATTRITION, None)
    assert found.verdict.sentence.startswith("no verdict: outcomes are missing unequally: of the ")
    assert "units of 'small'" in found.verdict.sentence
    assert "have an outcome for 'accuracy', of the" in found.verdict.sentence
    assert {each.metric: each.found for each in found.attrition} == {
        "error_rate": False,
        "accuracy": True,
    }


def test_labels_that_both_lack_alike_block_nothing(tmp_path: Path) -> None:
    """Which the test cannot tell from none missing: both means are off by the same."""
    labelled = [n for n in range(8000) if not (wrong(n) and n // 2 % 20)]
    found = reported(tmp_path, answers(8000), labelled)
    assert found.verdict.outcome is Conclusion.KEEP_RUNNING
    assert [each.p for each in found.attrition] == [1, 1]


def test_labels_that_are_on_their_way_are_missing_alike(tmp_path: Path) -> None:
    found = reported(tmp_path, answers(4000), list(range(1000)))
    assert [each.p for each in found.attrition] == [1, 1]
    assert found.verdict.outcome is Conclusion.KEEP_RUNNING


@pytest.mark.parametrize("metric", ["accuracy", "latency_ms"])
def test_a_variant_that_fails_more_is_no_winner(tmp_path: Path, metric: str) -> None:
    """What is slow fails, and so is not there to be compared."""
    exposures = [
        replace(row, status=503, label=None, confidence=None) if n % 2 and n % 20 == 1 else row
        for n, row in enumerate(rows(4000, latency_seconds=0.01))
    ]
    exposures = [replace(x, latency_seconds=0.01 + n % 7 / 1e4) for n, x in enumerate(exposures)]
    labelled = [n for n, row in enumerate(exposures) if row.status == 200]
    primary = {"metric": metric, "smallest_effect": 0.01}
    found = reported(tmp_path, exposures, labelled, primary=primary)
    assert found.verdict.outcome is Conclusion.FAILURES
    assert "units of 'small' 10.03 % failed, of the" in found.verdict.sentence
    outcome = reported(tmp_path, [], [], primary={"metric": "error_rate", "smallest_effect": 0.01})
    assert outcome.verdict.outcome is Conclusion.CONTROL  # there it is what is compared
    assert outcome.attrition == ()


def test_pairs_that_one_variants_units_lack(tmp_path: Path) -> None:
    """The other variant answers nearly all of control's requests, and half of the treatment's."""
    served = rows(2000, paired=True)
    others = [
        replace(row, variant={"control": "small", "small": "control"}[row.variant], served=False)
        for n, row in enumerate(served)
        if n % 2 == 0 or n % 4 == 1
    ]
    primary = {"metric": "relative_cost", "smallest_effect": 0.01}
    found = reported(tmp_path, [*served, *others], [], primary=primary, paired=1)
    assert [each.metric for each in found.attrition] == ["error_rate", PAIRS]
    assert found.verdict.outcome is Conclusion.ATTRITION
    assert "units of 'small' 50 % have a pair, of the" in found.verdict.sentence
