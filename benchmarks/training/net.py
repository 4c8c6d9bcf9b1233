"""What a net loss would buy: accuracy at most α below the TA's, where `drop` bounds what breaks.

    python -m benchmarks.training.net CHECKPOINT --data validation.jsonl test.jsonl

A text breaks if the cascade is wrong where the TA is right, and recovers the other way round; the
net loss is 1, −1 or else 0. Its mean is the accuracy lost, never above the share that breaks, but
it varies more. The texts of all files are the population, whose accuracies are known. Each redraw
takes `--examples` of them with replacement, and each rule chooses a cascade of up to three stages:

    drop       the exact binomial test of the share that breaks, as `nestling calibrate` has it
    trinomial  the exact test of the net loss, at the worst share of recoveries that is plausible
    betting    the same by a mixture of bets (Waudby-Smith, Ramdas 2020, 2010.09686)
    normal     the same by the normal limit: not exact, and about the best that a test could do
    …, any     a second walk, among cascades that end in another student than the TA; δ / 2 for each

All walk the same kind of path in fixed sequence, in the order that a quarter of the texts gives.
`--least-sure SHARE` keeps the texts of which the TA is least sure: a harder task. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from nestling.models import load_checkpoint
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.path import estimated_risk, threshold_path
from nestling.models.evaluation.predictions import predict_all
from nestling.models.inputs.data import label_indices, read_labelled

from .net_rules import RULES, Rule

ORDERING = 0.25
MOST_STAGES = 3
WORTH_A_STAGE = 0.01
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """breaks: evidence whose loss is a text that breaks. recovers: (students, texts)."""

    breaks: Evidence
    recovers: NDArray[np.bool_]

    def select(self, rows: Integers) -> Population:
        return Population(self.breaks.select(rows), self.recovers[:, rows])

    def stages(self, rows: tuple[int, ...]) -> tuple[Evidence, Evidence]:
        """Of some students the evidence of what breaks, and that of what recovers."""
        part = self.breaks.stages(rows)
        return part, replace(part, loss=self.recovers[list(rows)])


@dataclass(frozen=True)
class Candidate:
    """Stages and a path, and what the ordering part expects of its vectors, as shares of texts."""

    rows: tuple[int, ...]
    path: Floats
    cost: Floats
    risk: Floats
    varies: Floats

    def least(self, tested: int, alpha: float, delta: float) -> float:
        """The cost of the cheapest that so many texts should accept; a further stage must pay."""
        room = alpha - float(norm.isf(delta)) * np.sqrt(self.varies / tested)
        fit = self.risk <= room
        worth = (1 + WORTH_A_STAGE) ** len(self.rows)
        return float(self.cost[fit].min()) * worth if fit.any() else np.inf


Candidates = dict[tuple[bool, bool], list[Candidate]]


def candidates(ordering: Population) -> Candidates:
    """By whether recoveries count, and whether they end in the TA."""
    breaking = estimated_risk(ordering.breaks)
    recovering = estimated_risk(replace(ordering.breaks, loss=ordering.recovers))
    found: Candidates = {}
    for net in (False, True):
        for end in range(len(breaking)):
            for count in range(MOST_STAGES):
                for before in combinations(range(end), count):
                    rows = (*before, end)
                    part, own = ordering.breaks.stages(rows), list(rows)
                    b, r = breaking[own], recovering[own] * net
                    path = threshold_path(part, (b - r) - (b - r)[-1])
                    expected = outcome(part, path, b)
                    broken = expected.losses / part.texts
                    back = outcome(part, path, r).losses / part.texts
                    candidate = Candidate(rows, path, expected.cost, broken - back, broken + back)
                    found.setdefault((net, end == len(breaking) - 1), []).append(candidate)
    return found


@dataclass(frozen=True)
class Walked:
    """Of each vector of a candidate: counts among the texts that test, and what is true."""

    broken: list[int]
    recovered: list[int]
    cost: Floats
    true_broken: Floats
    true_lost: Floats

    def passed(self, rule: Rule, texts: int, alpha: float, delta: float) -> int:
        """How many leading vectors do."""
        for index, (b, r) in enumerate(zip(self.broken, self.recovered, strict=True)):
            if rule.test(b, r, texts, alpha, delta) > delta:
                return index
        return len(self.broken)


class Redraw:
    """Texts that order, and texts that test; what many rules ask of them is worked out once."""

    def __init__(self, whole: Population, drawn: Population) -> None:
        texts = drawn.breaks.texts
        cut = int(np.ceil(ORDERING * texts))
        self.candidates = candidates(drawn.select(np.arange(cut)))
        self.testing = drawn.select(np.arange(cut, texts))
        self.tested = texts - cut
        self._whole = whole
        self._walked: dict[tuple[bool, tuple[int, ...]], Walked] = {}

    def walk(self, net: bool, candidate: Candidate) -> Walked:
        if (found := self._walked.get((net, candidate.rows))) is None:
            found = self._walked[net, candidate.rows] = self._walk(candidate)
        return found

    def _walk(self, candidate: Candidate) -> Walked:
        b, r = (
            np.rint(outcome(part, candidate.path).losses).astype(int).tolist()
            for part in self.testing.stages(candidate.rows)
        )
        part, back = self._whole.stages(candidate.rows)
        true, recovered = outcome(part, candidate.path), outcome(back, candidate.path).losses
        relative = true.cost / self._whole.breaks.cost[-1].mean()
        broken = true.losses / part.texts
        return Walked(b, r, relative, broken, broken - recovered / part.texts)


@dataclass(frozen=True)
class Truth:
    """Of what a rule accepted: the cheapest cascade's cost against the TA's, the accuracy that it
    loses, whether it ends in another student, and whether any that passed is above alpha."""

    cost: float = 1.0
    lost: float = 0.0
    other_end: bool = False
    above: bool = False


def judged(rule: Rule, redraw: Redraw, alpha: float, delta: float) -> Truth:
    """Where nothing passes, the TA answers."""
    best, above, level = Truth(), False, delta / len(rule.walks)
    for ends_in_ta in rule.walks:
        leasts = [
            (each.least(redraw.tested, alpha, level), place)
            for place, each in enumerate(redraw.candidates[rule.net, ends_in_ta])
        ]
        each = redraw.candidates[rule.net, ends_in_ta][min(leasts)[1]]
        found = redraw.walk(rule.net, each)
        if passed := found.passed(rule, redraw.tested, alpha, level):
            risk = found.true_lost if rule.net else found.true_broken
            above |= bool((risk[:passed] > alpha).any())
            place = int(found.cost[:passed].argmin())
            if found.cost[place] < best.cost:
                lost = float(found.true_lost[place])
                best = Truth(float(found.cost[place]), lost, not ends_in_ta)
    return replace(best, above=above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--alpha", type=float, nargs="+", default=[0.005, 0.01, 0.02])
    parser.add_argument("--examples", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--delta", type=float, default=0.05)
    parser.add_argument("--least-sure", type=float, default=1.0)
    parser.add_argument("--redraws", type=int, default=200)
    given = parser.parse_args()
    whole = population(given.checkpoint, given.data, given.least_sure)
    results = [
        result
        for n in given.examples
        for result in compared(whole, n, given.alpha, given.delta, given.redraws)
    ]
    ahead = whole.recovers.mean(axis=1) - whole.breaks.loss.mean(axis=1)
    print(
        json.dumps(
            {
                "benchmark": "net",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "numpy", "torch")},
                "population": whole.breaks.texts,
                "least_sure": given.least_sure,
                "delta": given.delta,
                "redraws": given.redraws,
                "accuracy_above_the_ta": ahead.round(5).tolist(),
                "results": results,
            }
        )
    )


def compared(
    whole: Population, n: int, alphas: list[float], delta: float, redraws: int
) -> Iterator[dict[str, object]]:
    """A line per risk and rule, of all redraws: means; the error is of the paired difference."""
    seen: dict[tuple[float, str], list[Truth]] = {}
    for number in range(redraws):
        rng = np.random.default_rng([number, n])
        redraw = Redraw(whole, whole.select(rng.integers(0, whole.breaks.texts, n)))
        for alpha in alphas:
            for rule in RULES:
                truth = judged(rule, redraw, alpha, delta)
                seen.setdefault((alpha, rule.name), []).append(truth)
    for (alpha, name), truths in seen.items():
        cost, lost, other_end, above = np.array([astuple(each) for each in truths], float).T
        above_drop = cost - np.array([truth.cost for truth in seen[alpha, "drop"]])
        yield {
            "examples": n,
            "alpha": alpha,
            "rule": name,
            "times_fewer_flops": round(1 / float(cost.mean()), 2),
            "cost": round(float(cost.mean()), 4),
            "cost_above_drop": round(float(above_drop.mean()), 4),
            "standard_error": round(float(above_drop.std() / np.sqrt(redraws)), 4),
            "accuracy_lost": round(float(lost.mean()), 5),
            "other_end": round(float(other_end.mean()), 3),
            "any_accepted_above_alpha": round(float(above.mean()), 4),
        }


def population(path: Path, files: list[Path], least_sure: float) -> Population:
    """All texts' confidences, and what breaks and recovers; their cost in FLOPs."""
    checkpoint = load_checkpoint(path)
    texts: list[str] = []
    labels: list[int] = []
    for file in files:
        labelled = read_labelled(file)
        texts += labelled.texts
        labels += label_indices(labelled, checkpoint.architecture.labels, file)
    predictions = predict_all(checkpoint, tuple(texts), files[0])
    truth = torch.tensor(labels)
    logits = [predictions.logits[s.name] / s.temperature for s in predictions.students]
    confidence = torch.stack([torch.softmax(each, -1).amax(-1) for each in logits]).numpy()
    right = torch.stack([each.argmax(-1) == truth for each in logits]).numpy()
    cost = torch.stack([predictions.flops(s) for s in predictions.students]).numpy()
    rows = np.argsort(confidence[-1], kind="stable")[: round(least_sure * len(labels))]
    evidence = Evidence(confidence.astype(np.float32), ~right & right[-1], cost, 1e-5)
    return Population(evidence, right & ~right[-1]).select(rows)


if __name__ == "__main__":
    main()
