"""All numbers of an experiment, from what a database sums up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nestling.experiments.statistics.quantiles import quantile
from nestling.experiments.statistics.report import (
    Report,
    VariantObservations,
    VariantTraffic,
    report,
)
from nestling.experiments.statistics.summary import Joint, Summary
from nestling.experiments.statistics.verdict import Conclusion

from ..declared import parsed

LATENCY = {"metric": "latency_ms", "smallest_effect": 0.2}


def observed(mean: float, seed: int, n: int = 2000, **fields: Any) -> VariantObservations:
    """Units whose latency follows what it was before the experiment."""
    rng = np.random.default_rng(seed)
    before = rng.normal(20, 3, n)
    now = before + rng.normal(mean - 20, 1, n)
    return VariantObservations(
        traffic=VariantTraffic(
            units=n, requests=2 * n, texts=4 * n, escalations=n, errors=2, cost=0.4 * n
        ),
        outcomes=Summary.of(now),
        covaried=Joint.of(now, before),
        latency=tuple(
            found
            for p in (0.5, 0.95, 0.99)
            if (found := quantile(p, n, lambda rank: np.sort(now)[rank - 1], 0.05))
        ),
        **fields,
    )


def reported(stopped: dict[str, str] | None = None, **fields: Any) -> Report:
    given = {"control": observed(20, 0), "small": observed(19, 1)}
    return report(parsed(primary=LATENCY, **fields), given, stopped or {})


def test_each_variant() -> None:
    found = reported()
    control, small = found.variants
    assert (control.name, control.enrolled, control.units, control.lift) == (
        *("control", 2000, 2000, None),
    )
    assert control.cost_per_1000 == pytest.approx(200)
    assert control.escalation_rate == 0.25
    assert control.error_rate == 0.0005
    assert [each.at for each in control.latency] == [0.5, 0.95, 0.99]
    assert small.mean == pytest.approx(19, abs=0.3)
    assert small.interval
    assert 19 in small.interval
    assert small.lift
    assert small.lift.interval
    assert -1 in small.lift.interval
    assert found.verdict.winner == "small"
    assert found.sample_ratio_p == 1


def test_cuped_takes_the_noise_of_units_away() -> None:
    found = reported()
    assert found.variance_removed == pytest.approx(0.9, abs=0.02)
    plain = report(
        parsed(primary=LATENCY),
        {
            name: VariantObservations(
                VariantTraffic(units=2000), outcomes=observed(mean, seed).outcomes
            )
            for name, mean, seed in (("control", 20, 0), ("small", 19, 1))
        },
        {},
    )
    assert plain.variance_removed is None
    wide, narrow = plain.variants[1].lift, found.variants[1].lift
    assert wide
    assert narrow
    assert wide.interval
    assert narrow.interval
    width = narrow.interval.high - narrow.interval.low
    assert width < 0.4 * (wide.interval.high - wide.interval.low)


def test_paired_mode_rests_on_the_pairs() -> None:
    rng = np.random.default_rng(2)
    answered = rng.normal(20, 3, 500)
    pairs = Joint.of(answered + rng.normal(-1, 1, 500), answered)
    given = {
        "control": observed(20, 0),
        "small": observed(20, 1, pairs=pairs),
    }
    found = report(parsed(primary=LATENCY, paired=0.2), given, {})
    assert found.verdict.winner == "small"
    assert found.variants[0].pairs is None
    assert found.variants[1].pairs
    assert found.variants[1].pairs.units == 500
    unpaired = report(parsed(primary=LATENCY), given, {})
    assert unpaired.verdict.outcome is not Conclusion.WINNER


def test_cuped_waits_until_every_unit_has_a_past() -> None:
    few = observed(19, 1, n=500).covaried
    given = {"control": observed(20, 0), "small": replace(observed(19, 1), covaried=few)}
    assert report(parsed(primary=LATENCY), given, {}).variance_removed is None


def test_units_that_are_missing_block_the_verdict() -> None:
    given = {"control": observed(20, 0, 3000), "small": observed(19, 1)}
    found = report(parsed(primary=LATENCY), given, {})
    assert found.verdict.outcome is Conclusion.SAMPLE_RATIO


def test_a_stopped_variant_is_left_out_of_the_sample_ratio() -> None:
    given = {"control": observed(20, 0, 3000), "small": observed(19, 1)}
    found = report(parsed(primary=LATENCY), given, {"small": "it is slow"})
    assert found.sample_ratio_p == 1
    assert found.variants[1].stopped == "it is slow"
    assert found.verdict.sentence == "keep 'control': it is slow"


def test_before_anything_happened() -> None:
    nothing = VariantObservations()
    found = report(parsed(paired=0.5), {"control": nothing, "small": nothing}, {})
    assert found.verdict.outcome is Conclusion.KEEP_RUNNING
    assert found.variants[0].mean is None
    assert found.variants[0].cost_per_1000 is None


def test_every_variant_is_needed() -> None:
    with pytest.raises(KeyError, match="small"):
        report(parsed(), {"control": VariantObservations()}, {})
