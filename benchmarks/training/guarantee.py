"""How often the promise is broken, on real predictions: calibrate again and again on redrawn texts.

    python -m benchmarks.training.guarantee CHECKPOINT --data validation.jsonl test.jsonl

The texts of all files are the population, whose risk is known; each redraw takes `--examples` of
them with replacement, calibrates, and looks up the true risk of what was accepted. Beside it two
rules without a test: thresholds at which the observed risk is α, and TinySaver's (2403.17726).
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from nestling.models import load_checkpoint
from nestling.models.calibration.calibrate import gather
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.learn_then_test import plan, split, walk
from nestling.models.calibration.risk import losses_allowed
from nestling.models.evaluation.predictions import predict_all
from nestling.models.inputs.data import label_indices, read_labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--examples", type=int, default=3000)
    parser.add_argument("--redraws", type=int, default=1000)
    given = parser.parse_args()
    whole, ahead = population(given.checkpoint, given.data)
    n, alpha = given.examples, given.alpha
    names = ("learn-then-test", "observed risk", "TinySaver")
    risks: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    worst = []
    for redraw in range(given.redraws):
        rows = np.random.default_rng([redraw, 0]).integers(0, whole.texts, n)
        drawn = whole.select(rows)
        parts = split(n, alpha, given.confidence, redraw)
        allowed = losses_allowed(len(parts.testing), alpha, given.confidence)
        tested = plan(drawn.select(parts.ordering), (allowed + 0.5) / len(parts.testing))
        chosen, truth = drawn.stages(tested.stages), whole.stages(tested.stages)
        walked = walk(chosen.select(parts.testing), tested.vectors, alpha, given.confidence)
        true = outcome(truth, tested.vectors)
        true_risk = true.losses / whole.texts
        worst.append(true_risk[: walked.accepted].max(initial=0.0))
        last = max(0, walked.accepted - 1)
        seen = np.flatnonzero(walked.losses <= alpha * len(parts.testing))[-1]
        for name, index in (("learn-then-test", last), ("observed risk", seen)):
            risks[name].append(true_risk[index])
            costs[name].append(true.cost[index])
        pair = whole.stages((0, len(whole.confidence) - 1))
        threshold = tiny_saver(drawn, ahead[rows])
        saved = outcome(pair, np.array([[threshold, 0.0]]))
        risks["TinySaver"].append(saved.losses[0] / whole.texts)
        costs["TinySaver"].append(saved.cost[0])
    broken = {name: float(np.mean(np.array(r) > alpha)) for name, r in risks.items()}
    ta = float(whole.cost[-1].mean())
    print(
        json.dumps(
            {
                "benchmark": "guarantee",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "numpy", "torch")},
                "population": whole.texts,
                "examples": n,
                "alpha": alpha,
                "delta": round(1 - given.confidence, 6),
                "redraws": given.redraws,
                "any_accepted_above_alpha": float(np.mean(np.array(worst) > alpha)),
                "chosen_above_alpha": broken,
                "times_fewer_flops": {name: round(ta / np.mean(c), 2) for name, c in costs.items()},
            }
        )
    )


def population(path: Path, files: list[Path]) -> tuple[Evidence, np.ndarray]:
    """All texts' evidence, their cost in FLOPs; and how far the smallest student is ahead of the TA
    on each: 1 where it alone is right, −1 where the TA alone is.
    """
    checkpoint = load_checkpoint(path)
    texts: list[str] = []
    labels: list[int] = []
    for file in files:
        labelled = read_labelled(file)
        texts += labelled.texts
        labels += label_indices(labelled, checkpoint.architecture.labels, file)
    predictions = predict_all(checkpoint, tuple(texts), files[0])
    truth = torch.tensor(labels)
    students = checkpoint.students.values()
    flops = {s.name: float(predictions.flops(s).mean()) for s in students}
    temperatures = {s.name: s.temperature for s in students}
    smallest, ta = (
        (predictions.labels(student.name) == truth).int()
        for student in (predictions.students[0], predictions.ta)
    )
    return gather(predictions, truth, temperatures, flops), (smallest - ta).numpy()


def tiny_saver(drawn: Evidence, ahead: np.ndarray) -> float:
    """The lowest threshold above which the smallest student is at least as accurate as the TA."""
    order = np.argsort(-drawn.confidence[0], kind="stable")
    behind = np.flatnonzero(np.cumsum(ahead[order]) < 0)
    last = behind[0] - 1 if len(behind) else len(order) - 1
    return float(drawn.confidence[0][order][last]) - drawn.margin if last >= 0 else 1.0


if __name__ == "__main__":
    main()
