"""How often the test of attrition is wrong, and how soon it finds what it is for.

    python -m benchmarks.experiments.attrition

Each line of the result is `--runs` simulated experiments, judged by the product's own statistics at
every look. An outcome comes after a delay, exponential with a mean in units that are enrolled
meanwhile, or never. Beside it, the line for lifts on the same shares, which takes what has been
counted to be settled. Prints JSON as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.attrition import attrition_p_value, look_share, looks
from nestling.experiments.statistics.lift import lift
from nestling.experiments.statistics.missing import ALPHA
from nestling.experiments.statistics.mixture import Mixture
from nestling.experiments.statistics.sample_ratio import ALPHA as RATIO_ALPHA
from nestling.experiments.statistics.sample_ratio import sample_ratio_p_value
from nestling.experiments.statistics.summary import Summary

LONG = 20
"""Times as many units, to see what late outcomes do in the long run."""
VERDICT_ALPHA = 0.05
EVERY = 20
"""Units between two looks of the line for lifts, and of the sample ratio."""
Array = np.ndarray


@dataclass(frozen=True)
class Scenario:
    """weights: of treatment and control. requests: of each unit. reported: the share of answers
    that get an outcome. delay: of it, mean, in units. wrong: the share of answers that are, and of
    the treatment's `lost` never get one.
    """

    weights: tuple[int, int] = (1, 1)
    requests: int = 1
    reported: float = 1.0
    delay: float = 0.0
    wrong: float = 0.1
    lost: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """Rows are requests. treated: by unit. at, seen: when; infinity is never. right: answers."""

    treated: Array
    unit: Array
    at: Array
    seen: Array
    right: Array


ALIKE = [
    Scenario(weights, requests, reported, delay)
    for weights in ((1, 1), (1, 9))
    for requests, reported, delay in (
        (1, 0.95, 0.0),
        (1, 0.6, 0.0),
        (1, 0.6, 100.0),
        (1, 0.6, 10_000.0),
        (1, 1.0, 100.0),
        (10, 0.6, 100.0),
    )
]
UNLIKE = [
    *(Scenario(wrong=wrong, lost=0.5) for wrong in (0.2, 0.1, 0.05, 0.02, 0.01)),
    *(Scenario(delay=delay, lost=0.5) for delay in (100.0, 1000.0)),
    *(Scenario(reported=reported, lost=0.5) for reported in (0.9, 0.8, 0.5)),
    Scenario(weights=(1, 9), lost=0.5),
    Scenario(requests=10, reported=0.5, lost=0.5),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--units", type=int, default=10_000)
    given = parser.parse_args()
    runs, units = given.runs, given.units
    print(
        json.dumps(
            {
                "benchmark": "attrition",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "numpy")},
                "command": "python -m benchmarks.experiments.attrition",
                "runs": runs,
                "units": units,
                "level": ALPHA,
                "false_alarms": [
                    *(false_alarms(each, runs, units) for each in ALIKE),
                    false_alarms(Scenario(delay=100.0), runs, LONG * units),
                ],
                "blocked": blocked(runs, units),
                "power": [power(each, runs, units) for each in UNLIKE],
            }
        )
    )


def false_alarms(scenario: Scenario, runs: int, units: int) -> dict[str, Any]:
    """Share of A/A experiments in which any look finds attrition."""
    ours = line = 0
    for seed in range(runs):
        drawn = draw(scenario, units, seed)
        ours += first(drawn, scenario, units) <= units
        line += settled(drawn, scenario, units)
    row = {"units": units, "alarmed": ours / runs, "line_for_lifts": line / runs}
    return {**vars(scenario), **row}


def power(scenario: Scenario, runs: int, units: int) -> dict[str, Any]:
    """Share of experiments in which what is missing is found, and after how many units; and of
    those in which the variants, which are the same, would have a winner in the end, or have one.
    """
    found, when, wins = [], [], []
    for seed in range(runs):
        drawn = draw(scenario, units, seed)
        when.append(first(drawn, scenario, units))
        found.append(when[-1] <= units)
        wins.append(wins_in_the_end(drawn, units))
    median = {"median_units": int(np.median(when))} if np.mean(found) > 0.5 else {}
    return {
        **vars(scenario),
        "found": float(np.mean(found)),
        **median,
        "winner_without_the_test": float(np.mean(wins)),
        "winner": float(np.mean(np.array(wins) & ~np.array(found))),
    }


def wins_in_the_end(drawn: Experiment, units: int) -> bool:
    """Whether the treatment's accuracy, by the labels that came, is better than control's."""
    came = drawn.seen <= units
    labelled = np.bincount(drawn.unit[came], minlength=len(drawn.treated))
    right = np.bincount(drawn.unit[came & drawn.right], minlength=len(drawn.treated))
    accuracy, has = right / np.maximum(labelled, 1), labelled > 0
    treatment, control = (summary(accuracy[has & a]) for a in (drawn.treated, ~drawn.treated))
    interval = lift(treatment, control, Kind.RATE, Mixture(VERDICT_ALPHA, units)).interval
    return interval is not None and interval.low > 0


def blocked(runs: int, units: int) -> dict[str, float]:
    """Share of A/A experiments that any of three checks ever blocks: the sample ratio, failures of
    one request in fifty, and labels, of which three in five come, late.
    """
    labels, failures = Scenario(reported=0.6, delay=100.0), Scenario(reported=0.98)
    found: dict[str, list[bool]] = {"sample_ratio": [], "failures": [], "labels": []}
    for seed in range(runs):
        drawn = draw(labels, units, seed)
        answered = np.random.default_rng([seed, 2]).random(units) < failures.reported
        failed = replace(drawn, seen=np.where(answered, drawn.at, np.inf))
        counts = drawn.treated.cumsum()[EVERY - 1 :: EVERY].tolist()
        found["sample_ratio"].append(
            any(
                sample_ratio_p_value([n, look * EVERY - n], [1, 1]) < RATIO_ALPHA
                for look, n in enumerate(counts, start=1)
            )
        )
        found["failures"].append(first(failed, failures, units) <= units)
        found["labels"].append(first(drawn, labels, units) <= units)
    shares = {name: float(np.mean(each)) for name, each in found.items()}
    return {**shares, "any": float(np.any(list(found.values()), axis=0).mean())}


def draw(scenario: Scenario, units: int, seed: int) -> Experiment:
    """Requests in the order in which they come; a unit's are spread over all that follows it."""
    rng = np.random.default_rng([seed, 1])
    rows = units * scenario.requests
    treated = rng.random(units) < scenario.weights[0] / sum(scenario.weights)
    unit = np.repeat(np.arange(units), scenario.requests)
    begin = np.arange(units, dtype=float).repeat(scenario.requests)
    later = np.tile(np.arange(scenario.requests) > 0, units)
    at = begin + later * rng.random(rows) * (units - begin)
    wrong = rng.random(rows) < scenario.wrong
    lost = treated[unit] & wrong & (rng.random(rows) < scenario.lost)
    comes = (rng.random(rows) < scenario.reported) & ~lost
    seen = np.where(comes, at + scenario.delay * rng.exponential(size=rows), np.inf)
    return Experiment(treated, unit, at, seen, ~wrong)


def first(drawn: Experiment, scenario: Scenario, units: int) -> int:
    """Units at the first look that alarms; ten times as many as there are if none does."""
    came = np.sort(drawn.seen[drawn.seen <= units])
    taken = [look for look in looks(units) if look <= len(came)]
    times = came[np.array(taken, dtype=int) - 1]
    for look, now, pair in zip(taken, times, tables(drawn, scenario, times), strict=True):
        if attrition_p_value(*pair, scenario.weights) / look_share(look, units) < ALPHA:
            return min(units, int(now) + 1)
    return 10 * units


def settled(drawn: Experiment, scenario: Scenario, units: int) -> bool:
    """Whether the line for lifts, at the same level, is ever crossed by the same shares."""
    line = Mixture(ALPHA, units)
    times = np.arange(EVERY, units + 1, EVERY * scenario.requests, dtype=float)
    return any(
        lift(treatment, control, Kind.RATE, line).p_value < ALPHA
        for treatment, control in tables(drawn, scenario, times)
    )


def tables(
    drawn: Experiment, scenario: Scenario, times: Array
) -> Iterator[tuple[Summary, Summary]]:
    """The shares of treatment and control at each of these times."""
    if scenario.requests > 1:
        yield from (shares(drawn, now) for now in times)
        return
    arms = []
    for arm in (drawn.treated, ~drawn.treated):
        there = np.searchsorted(drawn.at[arm], times, side="right").tolist()
        has = np.searchsorted(np.sort(drawn.seen[arm]), times, side="right").tolist()
        arms.append(
            [
                Summary(n, k / max(n, 1), k - k * k / max(n, 1))
                for n, k in zip(there, has, strict=True)
            ]
        )
    yield from zip(*arms, strict=True)


def shares(drawn: Experiment, now: float) -> tuple[Summary, Summary]:
    """Of units that ask more than once."""
    there = drawn.at <= now
    units = len(drawn.treated)
    requests = np.bincount(drawn.unit[there], minlength=units)
    observed = np.bincount(drawn.unit[drawn.seen <= now], minlength=units)
    share = observed / np.maximum(requests, 1)
    asked = requests > 0
    treatment, control = (share[asked & arm] for arm in (drawn.treated, ~drawn.treated))
    return summary(treatment), summary(control)


def summary(values: Array) -> Summary:
    n = len(values)
    return Summary(n, float(values.mean()), float(n * values.var())) if n else Summary()


if __name__ == "__main__":
    main()
