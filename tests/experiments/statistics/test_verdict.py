"""The sentence that people act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nestling.experiments.definition import Experiment
from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.lift import lift
from nestling.experiments.statistics.missing import PAIRS, Attrition, Coverage
from nestling.experiments.statistics.summary import Summary
from nestling.experiments.statistics.verdict import Conclusion, Verdict, comparison, verdict

from ..declared import parsed

THREE = [{"name": n, "weight": 1, "policy": "auto"} for n in ("control", "small", "tiny")]


def rate(share: float, n: int) -> Summary:
    return Summary(n, share, n * share * (1 - share))


def judge(
    treatments: dict[str, Summary],
    control: Summary,
    experiment: Experiment | None = None,
    sample_ratio_p: float = 1.0,
    missing: Sequence[Attrition] = (),
    **stopped: str,
) -> Verdict:
    experiment = experiment or parsed()
    kind, mixture = experiment.primary.kind, comparison(experiment)
    lifts = {name: lift(values, control, kind, mixture) for name, values in treatments.items()}
    units = control.n + sum(values.n for values in treatments.values())
    return verdict(experiment, sample_ratio_p, lifts, stopped, units, missing)


def test_a_failed_sample_ratio_blocks_everything() -> None:
    found = judge({"small": rate(0.99, 5000)}, rate(0.5, 5000), sample_ratio_p=0.0004)
    assert (found.outcome, found.winner) == (Conclusion.SAMPLE_RATIO, None)
    assert "(p = 0.0004)" in found.sentence
    assert judge({"small": rate(0.99, 5000)}, rate(0.5, 5000), sample_ratio_p=0.01).winner


def missing(metric: str, p: float, requests: int = 1) -> Attrition:
    """Of control nearly all has been seen, of the treatment three fifths."""
    coverage = {
        "control": Coverage(rate(0.98, 5010), 5010 * requests, 4910 * requests),
        "small": Coverage(rate(0.6216, 5000), 5000 * requests, 3108 * requests),
    }
    return Attrition(metric, p, 0.005, 8018 * requests, coverage, "small")


@pytest.mark.parametrize(
    ("metric", "requests", "outcome", "sentence"),
    [
        (
            *("accuracy", 1, Conclusion.ATTRITION),
            "no verdict: outcomes are missing unequally: of the 5,000 units of 'small' 62.16 % "
            "have an outcome for 'accuracy', of the 5,010 units of 'control' 98 % (p = 1e-06 at "
            "the last look, after 8,018 outcomes); find out which are missing before reading any "
            "number",
        ),
        (
            *("reward", 3, Conclusion.ATTRITION),
            "no verdict: outcomes are missing unequally: of the requests of the 5,000 units of "
            "'small' 62.16 % have an outcome for 'reward', of the 5,010 units of 'control' 98 % "
            "(p = 1e-06 at the last look, after 24,054 outcomes); find out which are missing "
            "before reading any number",
        ),
        (
            *(PAIRS, 1, Conclusion.ATTRITION),
            "no verdict: outcomes are missing unequally: of the 5,000 units of 'small' 62.16 % "
            "have a pair, of the 5,010 units of 'control' 98 % (p = 1e-06 at the last look, after "
            "8,018 pairs); find out which are missing before reading any number",
        ),
        (
            *("error_rate", 1, Conclusion.FAILURES),
            "no verdict: the variants do not fail alike: of the requests of the 5,000 units of "
            "'small' 37.84 % failed, of the 5,010 units of 'control' 2 % (p = 1e-06 at the last "
            "look, after 8,018 answers); what failed is in no comparison, so find out why before "
            "reading any number",
        ),
    ],
)
def test_what_is_missing_unequally_blocks_everything(
    metric: str, requests: int, outcome: Conclusion, sentence: str
) -> None:
    treatments, control = {"small": rate(0.99, 5000)}, rate(0.5, 5000)
    found = judge(treatments, control, missing=(missing(metric, 1e-6, requests),))
    assert (found.outcome, found.winner, found.sentence) == (outcome, None, sentence)
    assert judge(treatments, control, missing=(missing(metric, 0.005),)).winner == "small"
    first = judge(treatments, control, sample_ratio_p=0.0, missing=(missing(metric, 1e-6),))
    assert first.outcome is Conclusion.SAMPLE_RATIO


def test_a_verdict_says_that_much_is_missing() -> None:
    treatments, control = {"small": rate(0.85, 5000)}, rate(0.8, 5000)
    found = judge(treatments, control, missing=(missing("accuracy", 1.0),))
    assert (found.outcome, found.winner) == (Conclusion.WINNER, "small")
    assert found.sentence == (
        "'small' is better than control: +5 points (+2.63 to +7.37); mind that 19.9 % of the "
        "outcomes are missing, of which an unequal few would not show"
    )
    for other in (missing("error_rate", 1.0), replace(missing("accuracy", 1.0), coverage={})):
        assert "mind" not in judge(treatments, control, missing=(other,)).sentence


def test_a_winner() -> None:
    found = judge({"small": rate(0.85, 5000)}, rate(0.8, 5000))
    assert (found.outcome, found.winner) == (Conclusion.WINNER, "small")
    assert found.sentence == ("'small' is better than control: +5 points (+2.63 to +7.37)")


def test_where_lower_is_better() -> None:
    primary = {"metric": "latency_ms", "smallest_effect": 1}
    fast, slow = Summary(1000, 20.0, 1e5), Summary(1000, 30.0, 1e5)
    assert judge({"small": fast}, slow, parsed(primary=primary)).winner == "small"
    lost = judge({"small": slow}, fast, parsed(primary=primary))
    assert (lost.outcome, lost.winner) == (Conclusion.CONTROL, "control")
    assert "'small' +10 (+" in lost.sentence


def test_the_best_of_several() -> None:
    treatments = {"small": rate(0.87, 5000), "tiny": rate(0.9, 5000)}
    assert judge(treatments, rate(0.8, 5000), parsed(variants=THREE)).winner == "tiny"


def test_no_difference_worth_knowing() -> None:
    found = judge({"small": rate(0.8, 500_000)}, rate(0.8, 500_000))
    assert found.outcome is Conclusion.NO_DIFFERENCE
    assert found.sentence.startswith("no difference as large as 0.5 points: 'small' +0 points")


def test_keep_running() -> None:
    found = judge({"small": rate(0.805, 5000)}, rate(0.8, 5000))
    assert found.outcome is Conclusion.KEEP_RUNNING
    assert found.more_units is not None
    assert (
        f"keep running: {found.more_units:,} more units expected for ±0.5 points; so far 'small'"
        in (found.sentence)
    )
    n = (10_000 + found.more_units) // 2
    then = lift(rate(0.805, n), rate(0.8, n), Kind.RATE, comparison(parsed()))
    assert then.interval is not None
    assert 0.0047 < then.interval.high - then.estimate <= 0.005


def test_keep_running_in_one_of_several() -> None:
    treatments = {"small": rate(0.5, 5000), "tiny": rate(0.8, 5000)}
    found = judge(treatments, rate(0.8, 5000), parsed(variants=THREE))
    assert found.outcome is Conclusion.KEEP_RUNNING


def test_too_early_and_out_of_reach() -> None:
    early = judge({"small": rate(0.8, 50)}, rate(0.8, 50))
    assert (early.outcome, early.more_units) == (Conclusion.KEEP_RUNNING, None)
    assert "before each variant has 100 units" in early.sentence
    primary = {"metric": "latency_ms", "smallest_effect": 1e-9}
    noisy = Summary(1000, 20.0, 1e5)
    never = judge({"small": noisy}, noisy, parsed(primary=primary))
    assert "±1e-09 is out of reach" in never.sentence


def test_what_a_guardrail_stopped_cannot_win() -> None:
    why = "'small' is stopped: error_rate is 10 %"
    found = judge({"small": rate(0.9, 5000)}, rate(0.8, 5000), small=why)
    assert (found.outcome, found.winner) == (Conclusion.ALL_STOPPED, "control")
    assert found.sentence == f"keep 'control': {why}"
    treatments = {"small": rate(0.87, 5000), "tiny": rate(0.9, 5000)}
    found = judge(treatments, rate(0.8, 5000), parsed(variants=THREE), tiny="it is slow")
    assert found.winner == "small"


@pytest.mark.parametrize(("variants", "alpha"), [(None, 0.05), (THREE, 0.025)])
def test_the_error_is_shared_by_the_comparisons(variants: Any, alpha: float) -> None:
    experiment = parsed(variants=variants) if variants else parsed()
    assert comparison(experiment).alpha == pytest.approx(alpha)
