"""How often the promise is broken, on real predictions: calibrate again and again on redrawn texts.

    python -m benchmarks.training.guarantee CHECKPOINT --data validation.jsonl test.jsonl

The texts of all files are the population, whose risk is known; each redraw takes `--examples` of
them with replacement, calibrates as `nestling calibrate` does, and looks up the true risk of what
was accepted. Beside it, on the same redraws: the probability as score, ordered by 12 % of the
texts, as it once was; and two rules without a test, thresholds at which the observed risk is α, and
TinySaver's (2403.17726) with one student before the TA. FLOPs are minimised and counted; the
temperatures are the checkpoint's. `--scores` are those among which each calibration chooses, the
preferred first. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from nestling.models.calibration.calibrate import gather
from nestling.models.calibration.choice import SCORES, RiskTarget, choose
from nestling.models.calibration.cost import flops_of
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.learn_then_test import plan, split, walk
from nestling.models.calibration.risk import fewest_examples, losses_allowed
from nestling.models.cascade.score import Score
from nestling.models.errors import NestlingError
from nestling.models.evaluation.predictions import predict_all
from nestling.models.inputs.data import label_indices, read_labelled
from nestling.models.precision import PRECISIONS, Precision, evidence_in, margin_of
from nestling.server.build import load_for

NOW, BEFORE = "learn-then-test", "learn-then-test, probability, 12 % order"
OBSERVED = "observed risk"
SHARE_BEFORE = 0.12
Outcomes = dict[str, tuple[float, float]]
"""By method, the true risk and cost of what it chose."""


@dataclass(frozen=True)
class Population:
    """evidence: by score; its costs are FLOPs. ahead: (students, texts), 1 where that student alone
    is right, −1 where the TA alone is.
    """

    names: tuple[str, ...]
    evidence: Mapping[Score, Evidence]
    ahead: NDArray[np.int64]

    @property
    def texts(self) -> int:
        return int(self.ahead.shape[1])

    def of(
        self, score: Score, rows: tuple[int, ...], thresholds: NDArray[np.float64]
    ) -> tuple[float, float]:
        """True risk and cost of a cascade."""
        true = outcome(self.evidence[score].stages(rows), thresholds[None])
        return float(true.losses[0]) / self.texts, float(true.cost[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--examples", type=int, default=3000)
    parser.add_argument("--redraws", type=int, default=1000)
    parser.add_argument("--scores", choices=list(Score), nargs="+", default=list(SCORES))
    given = parser.parse_args()
    by_name = {score.value: score for score in Score}
    scores = [by_name[name] for name in given.scores]
    whole = population(given.checkpoint, given.data, given.precision)
    target = RiskTarget(given.alpha, given.confidence)
    chosen: Counter[str] = Counter()
    found: list[Outcomes] = []
    for redraw in range(given.redraws):
        rows = np.random.default_rng([redraw, 0]).integers(0, whole.texts, given.examples)
        drawn = {score: each.select(rows) for score, each in whole.evidence.items()}
        now, how = calibrated(whole, {score: drawn[score] for score in scores}, target, redraw)
        chosen[how] += 1
        found.append(now | before(whole, drawn, target, redraw) | tiny_saver(whole, rows))
    print(json.dumps(report(given, whole, found, chosen)))


def calibrated(
    whole: Population, drawn: Mapping[Score, Evidence], target: RiskTarget, seed: int
) -> tuple[Outcomes, str]:
    """What `nestling calibrate` finds, and by which score and stages."""
    first = next(iter(drawn.values()))
    parts = split(first.texts, target.alpha, target.confidence, seed)
    try:
        choice = choose(drawn, first.cost, None, parts, target)
    except NestlingError:
        return {NOW: (0.0, float(whole.evidence[SCORES[0]].cost[-1].mean()))}, "none"
    stages = " → ".join(whole.names[row] for row in choice.rows)
    result = whole.of(choice.score, choice.rows, choice.thresholds)
    return {NOW: result}, f"{choice.score}: {stages}"


def before(
    whole: Population, drawn: Mapping[Score, Evidence], target: RiskTarget, seed: int
) -> Outcomes:
    """As it once was; and without its test."""
    evidence, score = drawn[Score.PROBABILITY], Score.PROBABILITY
    most = round((1 - SHARE_BEFORE) * evidence.texts)
    allowed = losses_allowed(most, target.alpha, target.confidence)
    tested = fewest_examples(allowed, target.alpha, target.confidence)
    rows = np.random.default_rng(seed).permutation(evidence.texts)
    tried = plan(evidence.select(rows[tested:]), (allowed + 0.5) / tested)
    part = evidence.stages(tried.stages).select(rows[:tested])
    walked = walk(part, tried.vectors, target.alpha, target.confidence)
    last = max(0, walked.accepted - 1)
    seen = int(np.flatnonzero(walked.losses <= target.alpha * tested)[-1])
    return {
        BEFORE: whole.of(score, tried.stages, tried.vectors[last]),
        OBSERVED: whole.of(score, tried.stages, tried.vectors[seen]),
    }


def tiny_saver(whole: Population, rows: NDArray[np.int64]) -> Outcomes:
    """Of each student, the lowest threshold above which it is at least as accurate as the TA."""
    evidence, score = whole.evidence[Score.PROBABILITY], Score.PROBABILITY
    ta, found = len(whole.names) - 1, {}
    for student in range(ta):
        drawn = evidence.score[student, rows]
        order = np.argsort(-drawn, kind="stable")
        behind = np.flatnonzero(np.cumsum(whole.ahead[student, rows][order]) < 0)
        last = behind[0] - 1 if len(behind) else len(order) - 1
        threshold = float(drawn[order][last]) - evidence.margin if last >= 0 else 1.0
        name = f"TinySaver, {whole.names[student]}"
        found[name] = whole.of(score, (student, ta), np.array([threshold, 0.0]))
    return found


def report(
    given: argparse.Namespace, whole: Population, found: list[Outcomes], chosen: Counter[str]
) -> dict[str, object]:
    ta = float(whole.evidence[SCORES[0]].cost[-1].mean())
    above, interval, fewer = {}, {}, {}
    for name in found[0]:
        risk, cost = np.array([each[name] for each in found]).T
        broken = int((risk > given.alpha).sum())
        ends = binomtest(broken, len(found)).proportion_ci(method="exact")
        above[name] = round(broken / len(found), 4)
        interval[name] = [round(float(ends.low), 4), round(float(ends.high), 4)]
        fewer[name] = round(ta / float(cost.mean()), 2)
    return {
        "benchmark": "guarantee",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("nestling", "numpy", "torch")},
        "precision": given.precision,
        "population": whole.texts,
        "examples": given.examples,
        "alpha": given.alpha,
        "delta": round(1 - given.confidence, 6),
        "redraws": given.redraws,
        "scores": given.scores,
        "chosen_above_alpha": above,
        "interval": interval,
        "times_fewer_flops": fewer,
        "chosen": dict(chosen.most_common()),
    }


def population(path: Path, files: list[Path], precision: Precision) -> Population:
    """All texts of all files, asked of all students."""
    checkpoint, runner = load_for(path, precision, dtype=evidence_in(precision))
    texts: list[str] = []
    labels: list[int] = []
    for file in files:
        labelled = read_labelled(file)
        texts += labelled.texts
        labels += label_indices(labelled, checkpoint.architecture.labels, file)
    predictions = predict_all(checkpoint, tuple(texts), files[0], runner)
    truth = torch.tensor(labels)
    students = predictions.students
    temperatures = {student.name: student.temperature for student in students}
    cost = flops_of(students, list(map(len, predictions.sequences)))
    evidence = {
        score: gather(predictions, truth, temperatures, score, cost, margin_of(precision))
        for score in Score
    }
    right = np.stack([(predictions.labels(s.name) == truth).numpy() for s in students]).astype(int)
    return Population(tuple(s.name for s in students), evidence, right - right[-1])


if __name__ == "__main__":
    main()
