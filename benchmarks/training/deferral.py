"""Learned deferral in place of a score: what a regression on features of each answer saves.

    python -m benchmarks.training.deferral CHECKPOINT --data validation.jsonl test.jsonl

The texts of all files are the population. Each redraw calibrates on `--examples` of them, drawn
without replacement, and looks at the others for what the cascade truly costs and loses. Everything
is as `nestling calibrate` does it, score, stages, path and test, and again with a logistic
regression for each stage (`routers.py`), fitted on the ordering part, in place of the score. The
temperatures are the checkpoint's; no rule has the gate's margin for rounding. Prints one JSON line.
Its intervals are of the mean over redraws, which all draw from the same texts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.cli.progress import ProgressDisplay
from nestling.models.calibration.choice import SCORES, WORTH_ANOTHER_SCORE
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.learn_then_test import (
    MOST_STAGES,
    WORTH_A_STAGE,
    Split,
    TestPlan,
    plan_of,
    split,
    walk,
)
from nestling.models.calibration.path import estimated_risk, subsets
from nestling.models.calibration.target import RiskTarget
from nestling.models.errors import NestlingError
from nestling.models.progress import Progress

from .guarantee import origin
from .net import tolerated
from .population import population
from .routers import Asked, Routers

NOW = "score"
LEARNED = "regression"
EITHER = "score or regression"
BOOTSTRAPS = 2000

ScoredStages = Callable[[tuple[int, ...]], Evidence]
"""What a rule makes of stages: their evidence on all texts."""


@dataclass(frozen=True)
class OnOthers:
    """A calibration on the texts that it did not see: cost as a share of the TA's, and the share of
    texts that it breaks.
    """

    cost: float = 1.0
    broken: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """What one rule would test, and the evidence that it goes by, of all texts."""

    planned: TestPlan
    evidence: Evidence

    @property
    def expected(self) -> float:
        return self.planned.expected_cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.005, 0.01])
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--examples", type=int, default=3000)
    parser.add_argument("--redraws", type=int, default=200)
    parser.set_defaults(precision="float32", profile=None)
    given = parser.parse_args()
    whole = population(given)
    if not 0 < given.examples < whole.texts:
        parser.error(f"--examples: {given.examples} is not between 0 and {whole.texts}, all texts")
    evidence = {score: replace(each, margin=0.0) for score, each in whole.evidence.items()}
    asked = Asked(evidence, whole.labels)
    targets = [RiskTarget(alpha, given.confidence) for alpha in given.alpha]
    with ProgressDisplay() as progress:
        results = [
            row
            for target in targets
            for row in compared(asked, target, given.examples, given.redraws, progress)
        ]
    said = {
        "benchmark": "deferral",
        **origin(),
        "population": whole.texts,
        "examples": given.examples,
        "delta": round(1 - given.confidence, 6),
        "redraws": given.redraws,
        "results": results,
    }
    print(json.dumps(said))


def compared(
    asked: Asked,
    target: RiskTarget,
    examples: int,
    redraws: int,
    progress: Progress,
) -> Iterator[dict[str, object]]:
    """A line per rule, of all redraws."""
    texts = asked.labels.shape[1]
    found: dict[str, list[OnOthers]] = {}
    for redraw in range(redraws):
        progress.step(f"redraws at {target.alpha:g}", redraw, redraws)
        order = np.random.default_rng([redraw, 0]).permutation(texts)
        rows, others = order[:examples], order[examples:]
        parts = split(examples, target.alpha, target.confidence, redraw)
        parts = Split(rows[parts.ordering], rows[parts.testing])
        for name, each in candidates(asked, parts, target).items():
            found.setdefault(name, []).append(served(each, parts, others, target))
    for name, results in found.items():
        yield {"alpha": target.alpha, "rule": name} | summary(results, found[NOW], target.alpha)


def candidates(asked: Asked, parts: Split, target: RiskTarget) -> dict[str, Candidate]:
    """What each rule would test, by its name."""
    room, ordering = tolerated(parts, target), parts.ordering
    scored = (candidate(asked.evidence[score].stages, asked, ordering, room) for score in SCORES)
    now = preferred(next(scored), scored)
    routers = Routers(asked, ordering)
    learned = candidate(routers.evidence, asked, ordering, room)
    return {NOW: now, LEARNED: learned, EITHER: preferred(now, [learned])}


def preferred(first: Candidate, others: Iterable[Candidate]) -> Candidate:
    """The first, unless another is expected to cost less by what is worth another score."""
    for each in others:
        if each.expected < first.expected * (1 - WORTH_ANOTHER_SCORE):
            first = each
    return first


def candidate(
    scored: ScoredStages, asked: Asked, ordering: NDArray[np.int64], room: float
) -> Candidate:
    """The stages and the path that the ordering part likes best, chosen as calibration does."""
    best: Candidate | None = None
    for stages in subsets(len(asked.labels), MOST_STAGES):
        evidence = scored(stages)
        part = evidence.select(ordering)
        planned = plan_of(part, estimated_risk(part), tuple(range(len(stages))), room)
        further = 0 if best is None else max(0, len(stages) - len(best.planned.stages))
        worth = float((1 - WORTH_A_STAGE) ** further)
        if best is None or planned.expected_cost < best.expected * worth:
            best = Candidate(planned, evidence)
    if best is None:
        raise NestlingError("a cascade needs a student besides the TA")
    return best


def served(
    found: Candidate, parts: Split, others: NDArray[np.int64], target: RiskTarget
) -> OnOthers:
    """The cheapest vector that passes the test, on other texts; the TA where none is cheaper."""
    vectors = found.planned.vectors
    testing, unseen = found.evidence.select(parts.testing), found.evidence.select(others)
    passed = walk(testing, vectors, target.alpha, target.confidence).accepted
    calibrating = found.evidence.select(np.concatenate([parts.ordering, parts.testing]))
    costs = outcome(calibrating, vectors[:passed]).cost / calibrating.cost[-1].mean()
    if not costs.size or costs.min() >= 1:
        return OnOthers()
    true = outcome(unseen, vectors[int(costs.argmin())][None])
    cost = float(true.cost[0] / unseen.cost[-1].mean())
    return OnOthers(cost, float(true.losses[0]) / unseen.texts)


def summary(found: list[OnOthers], now: list[OnOthers], alpha: float) -> dict[str, object]:
    """Means over redraws. saves: the share of the score's cost, with its bootstrap interval at
    95 % over pairs of redraws.
    """
    cost, before = (np.array([each.cost for each in rule]) for rule in (found, now))
    broken = np.array([each.broken for each in found])
    drawn = np.random.default_rng(0).integers(0, len(cost), (BOOTSTRAPS, len(cost)))
    again = 1 - cost[drawn].mean(axis=1) / before[drawn].mean(axis=1)
    return {
        "times_fewer_flops": round(float(1 / cost.mean()), 2),
        "relative_flops": round(float(cost.mean()), 5),
        "saves": round(float(1 - cost.mean() / before.mean()), 4),
        "interval": np.quantile(again, (0.025, 0.975)).round(4).tolist(),
        "cheaper_redraws": round(float((cost < before).mean()), 3),
        "broken": round(float(broken.mean()), 5),
        "above_alpha": round(float((broken > alpha).mean()), 4),
    }


if __name__ == "__main__":
    main()
