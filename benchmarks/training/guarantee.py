"""How often the promise is broken, on real predictions: calibrate again and again on redrawn texts.

    python -m benchmarks.training.guarantee CHECKPOINT --data validation.jsonl test.jsonl

The texts of all files are the population, whose risk is known; each redraw takes `--examples` of
them with replacement, calibrates as `nestling calibrate` does, and looks up the true risk of what
was accepted, against the TA in float32 whatever the `--precision`. Texts held out of training order
the tests too, where the checkpoint keeps their answers; then what it would be without them stands
beside it. On the same redraws: the probability as score, ordered by 12 % of the texts, as it once
was; and two rules without a test, thresholds at which the observed risk is α, and TinySaver's
(2403.17726) with one student before the TA. `--from-shadow` calibrates anew on records of the
texts, as `nestling calibrate --from-shadow` does, for the checkpoint's default cascade. FLOPs are
minimised, or by `--cost time` the seconds of `--profile`; with a profile time is counted in any
case. The temperatures are the checkpoint's. `--scores` are those among which each calibration
chooses, the preferred first. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from nestling.models.calibration.choice import SCORES, choose
from nestling.models.calibration.cost import TimeModel
from nestling.models.calibration.evidence import Evidence
from nestling.models.calibration.learn_then_test import split
from nestling.models.calibration.sizes import useful
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.score import Score
from nestling.models.errors import NestlingError

from .population import Chosen, Population, add_options, population
from .rules import before, tiny_saver
from .shadow import Shadow

NOW = "learn-then-test"
ALONE = "learn-then-test, ordered by the calibration's texts alone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--from-shadow", action="store_true", help="records instead of texts")
    parser.add_argument("--scores", choices=list(Score), nargs="+", default=list(SCORES))
    given = parser.parse_args()
    if given.cost == "time" and given.profile is None:
        parser.error("--cost time takes a --profile")
    whole = population(given, agreement=given.from_shadow)
    found = list(redraws(given, whole))
    print(json.dumps(report(given, whole, found)))


def redraws(given: argparse.Namespace, whole: Population) -> Iterator[dict[str, Chosen]]:
    """Of each, by rule, what was chosen."""
    by = whole.time if given.cost == "time" else None
    if given.from_shadow:
        target = RiskTarget(given.alpha, given.confidence, "disagreement")
        shadow = Shadow.of(whole)
        for _, rows in whole.drawn(given.examples, given.redraws):
            yield {NOW: shadow.calibrated(rows, target, by)}
        return
    target = RiskTarget(given.alpha, given.confidence)
    scores = [score for score in Score if score in given.scores]
    for redraw, rows in whole.drawn(given.examples, given.redraws):
        drawn = {score: each.select(rows) for score, each in whole.evidence.items()}
        tried = {score: drawn[score] for score in scores}
        now = {NOW: calibrated(whole, tried, rows, target, by, redraw)}
        if whole.known is not None:
            alone = replace(whole, known=None)
            now |= {ALONE: calibrated(alone, tried, rows, target, by, redraw)}
        yield now | before(whole, drawn, target, redraw) | tiny_saver(whole, rows)


def calibrated(
    whole: Population,
    drawn: Mapping[Score, Evidence],
    rows: NDArray[np.int64],
    target: RiskTarget,
    by: TimeModel | None,
    seed: int,
) -> Chosen:
    """What `nestling calibrate` finds."""
    flops = whole.flops[:, rows]
    if by is not None and whole.seconds is not None:
        drawn = {score: replace(each, cost=whole.seconds[:, rows]) for score, each in drawn.items()}
    there_are = next(iter(whole.known.values())).texts if whole.known else 0
    others = useful(there_are, len(rows), target)
    known = whole.known if others else None
    parts = split(len(rows), target.alpha, target.confidence, seed, others)
    try:
        choice = choose(drawn, flops, by, parts, target, known)
    except NestlingError:
        return whole.alone()
    return whole.of(choice.score, choice.rows, choice.thresholds)


def report(
    given: argparse.Namespace, whole: Population, found: list[dict[str, Chosen]]
) -> dict[str, object]:
    names = list(found[0])
    costs = {name: [each[name] for each in found] for name in names}
    flops = {name: float(np.mean([each.flops for each in costs[name]])) for name in names}
    said: dict[str, object] = {
        "benchmark": "guarantee",
        **origin(),
        "precision": given.precision,
        "source": "shadow" if given.from_shadow else "texts",
        "loss": "disagreement" if given.from_shadow else "drop",
        "minimised": given.cost,
        "profile": given.profile.name if given.profile else None,
        "population": whole.texts,
        "examples": given.examples,
        "alpha": given.alpha,
        "delta": round(1 - given.confidence, 6),
        "redraws": given.redraws,
        "scores": given.scores,
    }
    above = {name: above_alpha(costs[name], given.alpha) for name in names}
    said |= {
        "chosen_above_alpha": {name: share for name, (share, _) in above.items()},
        "interval": {name: interval for name, (_, interval) in above.items()},
        "times_fewer_flops": {name: round(1 / flops[name], 2) for name in names},
        "relative_flops": {name: round(flops[name], 4) for name in names},
    }
    if whole.seconds is not None:
        seconds = {name: [each.seconds or 0.0 for each in costs[name]] for name in names}
        said["relative_time"] = {
            name: round(float(np.mean(each)), 4) for name, each in seconds.items()
        }
    return said | {"chosen": dict(Counter(each[NOW].how for each in found).most_common())}


def origin() -> dict[str, object]:
    """When, where and with what."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("nestling", "numpy", "torch")},
    }


def above_alpha(found: list[Chosen], alpha: float) -> tuple[float, list[float]]:
    """Share of those whose true risk is above it, and its exact interval at 95 %."""
    broken = sum(each.risk > alpha for each in found)
    ends = binomtest(broken, len(found)).proportion_ci(method="exact")
    return round(broken / len(found), 4), [round(float(ends.low), 4), round(float(ends.high), 4)]


if __name__ == "__main__":
    main()
