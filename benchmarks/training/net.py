"""What a net loss buys: accuracy at most α below the TA's, where `drop` bounds what breaks.

    python -m benchmarks.training.net CHECKPOINT --data validation.jsonl test.jsonl

A text breaks if the cascade is wrong where the TA is right, and recovers the other way round; the
net loss is 1, −1 or else 0. Its mean is the accuracy lost, never above the share that breaks, but
it varies more. The texts of all files are the population, whose accuracies are known. Each redraw
takes `--examples` of them with replacement, plans as `nestling calibrate` does, with the margin as
score, and walks that plan by the test of each loss. With `--sets M` also by the test of `drop` at
δ / M along the path of each of the M stage sets that the ordering part likes best (a union bound),
of which the cheapest serves. `--least-sure SHARE` keeps the texts of which the TA is least sure: a
harder task. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from nestling.models.calibration.evidence import Evidence, Floats, outcome
from nestling.models.calibration.learn_then_test import (
    MOST_STAGES,
    Split,
    TestPlan,
    plan,
    plan_of,
    split,
    walk,
)
from nestling.models.calibration.path import estimated_risk, subsets
from nestling.models.calibration.risk import losses_allowed
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.score import Score

from .guarantee import origin
from .population import population


@dataclass(frozen=True)
class Served:
    """Of what serves after one calibration: its true cost against the TA's, and the true shares of
    texts that break and that are lost on balance; whether it ends in another student than the TA;
    its cost on the texts that were calibrated on. The TA alone where nothing passed.
    """

    cost: float = 1.0
    broken: float = 0.0
    lost: float = 0.0
    without_ta: bool = False
    seen: float = 1.0


@dataclass(frozen=True)
class Task:
    """whole: the population, in which a recovery is a loss of −1."""

    whole: Evidence

    @property
    def ta(self) -> int:
        """Its row."""
        return len(self.whole.score) - 1

    def served(self, rows: tuple[int, ...], thresholds: Floats) -> Served:
        """What a cascade truly does."""
        stages = self.whole.stages(rows)
        true = outcome(stages, thresholds[None])
        back = outcome(stages, thresholds[None], stages.recovered.astype(np.float64)).losses
        relative = float(true.cost[0] / self.whole.cost[-1].mean())
        broken = float(true.losses[0]) / self.whole.texts
        end = rows[int(np.argmax(thresholds <= 0))]
        return Served(relative, broken, broken - float(back[0]) / self.whole.texts, end != self.ta)


def walked(
    task: Task,
    drawn: Evidence,
    parts: Split,
    planned: TestPlan,
    target: RiskTarget,
    net: bool = False,
) -> Served:
    """The cheapest that passes; the TA where none does, or none is cheaper."""
    stages = drawn.stages(planned.stages)
    testing = stages.select(parts.testing)
    passed = walk(testing, planned.vectors, target.alpha, target.confidence, net).accepted
    costs = outcome(stages, planned.vectors[:passed]).cost / drawn.cost[-1].mean()
    if not costs.size or costs.min() >= 1:
        return Served()
    found = task.served(planned.stages, planned.vectors[int(costs.argmin())])
    return replace(found, seen=float(costs.min()))


def united(task: Task, drawn: Evidence, parts: Split, target: RiskTarget, sets: int) -> Served:
    """The cheapest of several walks that share δ."""
    shared = replace(target, confidence=1 - (1 - target.confidence) / sets)
    ordering = drawn.select(parts.ordering)
    risk = estimated_risk(ordering)
    plans = [
        plan_of(ordering, risk, stages, tolerated(parts, shared))
        for stages in subsets(task.ta + 1, MOST_STAGES)
    ]
    likely = sorted(plans, key=lambda each: each.expected_cost)[:sets]
    found = [walked(task, drawn, parts, each, shared) for each in likely]
    return min(found, key=lambda each: each.seen)


def tolerated(parts: Split, target: RiskTarget) -> float:
    """As `nestling calibrate` has it."""
    tested = len(parts.testing)
    return (losses_allowed(tested, target.alpha, target.confidence) + 0.5) / tested


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.005, 0.01, 0.02])
    parser.add_argument("--examples", type=int, nargs="+", default=[3000])
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--least-sure", type=float, default=1.0)
    parser.add_argument("--sets", type=int, default=0)
    parser.add_argument("--redraws", type=int, default=1000)
    parser.set_defaults(precision="float32", profile=None)
    given = parser.parse_args()
    task = read(given)
    targets = [RiskTarget(alpha, given.confidence) for alpha in given.alpha]
    results = [
        result
        for texts in given.examples
        for target in targets
        for result in compared(task, texts, target, given.redraws, given.sets)
    ]
    ahead = task.whole.recovered.mean(axis=1) - task.whole.broken.mean(axis=1)
    print(
        json.dumps(
            {
                "benchmark": "net",
                **origin(),
                "population": task.whole.texts,
                "least_sure": given.least_sure,
                "delta": round(1 - given.confidence, 6),
                "redraws": given.redraws,
                "accuracy_above_the_ta": ahead.round(5).tolist(),
                "results": results,
            }
        )
    )


def compared(
    task: Task, texts: int, target: RiskTarget, redraws: int, sets: int
) -> Iterator[dict[str, object]]:
    """A line per rule, of all redraws: means; the error is of the paired difference."""
    seen: dict[str, list[Served]] = {}
    for redraw in range(redraws):
        rows = np.random.default_rng([redraw, 0]).integers(0, task.whole.texts, texts)
        drawn = task.whole.select(rows)
        parts = split(texts, target.alpha, target.confidence, redraw)
        planned = plan(drawn.select(parts.ordering), tolerated(parts, target))
        for loss in ("drop", "net"):
            served = walked(task, drawn, parts, planned, target, loss == "net")
            seen.setdefault(loss, []).append(served)
        if sets:
            seen.setdefault("union", []).append(united(task, drawn, parts, target, sets))
    drop = np.array([each.cost for each in seen["drop"]])
    for name, all_served in seen.items():
        cost = np.array([each.cost for each in all_served])
        lost = np.array([each.lost for each in all_served])
        promised = lost if name == "net" else np.array([each.broken for each in all_served])
        above = int((promised > target.alpha).sum())
        ends = binomtest(above, redraws).proportion_ci(method="exact")
        yield {
            "examples": texts,
            "alpha": target.alpha,
            "rule": name,
            "times_fewer_flops": round(1 / float(cost.mean()), 2),
            "cost": round(float(cost.mean()), 5),
            "cost_above_drop": round(float((cost - drop).mean()), 5),
            "standard_error": round(float((cost - drop).std() / np.sqrt(redraws)), 5),
            "accuracy_lost": round(float(lost.mean()), 5),
            "chosen_above_alpha": round(above / redraws, 4),
            "interval": [round(float(ends.low), 4), round(float(ends.high), 4)],
            "without_the_ta": round(float(np.mean([each.without_ta for each in all_served])), 4),
        }


def read(given: argparse.Namespace) -> Task:
    """All texts, or those of which the TA is least sure, asked of all students."""
    found = population(given, net=True)
    sure = found.evidence[Score.PROBABILITY].score[-1]
    rows = np.argsort(sure, kind="stable")[: round(given.least_sure * found.texts)]
    return Task(found.evidence[Score.MARGIN].select(rows))


if __name__ == "__main__":
    main()
