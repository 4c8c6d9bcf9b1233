"""Which score tells best that a text belongs to none of the labels.

    python -m benchmarks.training.scope CHECKPOINT --data validation.jsonl \\
        --test test.jsonl --out-of-scope oos.jsonl

For each student and score: the share of the out-of-scope texts that still pass where the share
`--kept` of the test texts does; the bound is read off the test texts, alike for every score. Beside
it what a calibration would do: `--redraws` times, half of the ordering part of the calibration
texts, redrawn, fixes each student's scope by its energy; the share of the other texts below it is
held against what is promised. Temperatures are the checkpoint's. Prints one JSON line.
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
from numpy.typing import NDArray
from scipy.stats import binomtest

from nestling.models import load_checkpoint
from nestling.models.calibration.evidence import accepts
from nestling.models.calibration.scope import ScopeTarget, check_enough, energy_of, limit_of
from nestling.models.calibration.sizes import most_testing
from nestling.models.cascade.score import Score
from nestling.models.evaluation.predictions import Predictions, predict_all
from nestling.models.inputs.data import read_texts
from nestling.models.precision import margin_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out-of-scope", type=Path, required=True)
    parser.add_argument("--kept", type=float, default=0.95)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--redraws", type=int, default=1000)
    given = parser.parse_args()
    checkpoint = load_checkpoint(given.checkpoint)
    known, tested, strangers = (
        predict_all(checkpoint, read_texts(file), file)
        for file in (given.data, given.test, given.out_of_scope)
    )
    print(
        json.dumps(
            {
                "benchmark": "scope",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "numpy", "torch")},
                "texts": len(tested.sequences),
                "out_of_scope": len(strangers.sequences),
                "kept": given.kept,
                "passing_percent": passing(tested, strangers, given.kept),
                "redraws": given.redraws,
                "delta": round(1 - given.confidence, 6),
                "scopes": redrawn(known, tested, strangers, given),
            }
        )
    )


def passing(
    tested: Predictions, strangers: Predictions, kept: float
) -> dict[str, dict[str, float]]:
    """By student and score, in percent of the strangers."""
    found: dict[str, dict[str, float]] = {}
    for student in tested.students:
        name, temperature = student.name, student.temperature
        found[name] = {}
        for score in Score:
            inside = tested.scores(name, temperature, score).numpy()
            least = np.sort(inside)[int(np.floor((1 - kept) * len(inside)))]
            passed = strangers.scores(name, temperature, score).numpy() >= least
            found[name][score.value] = round(100 * float(passed.mean()), 1)
    return found


def redrawn(
    known: Predictions, tested: Predictions, strangers: Predictions, given: argparse.Namespace
) -> dict[str, dict[str, object]]:
    """By student: how often less is kept than promised, and what is kept and passes on average.

    The texts of both files with labels are the population.
    """
    target, margin = ScopeTarget(given.kept), margin_of("float32")
    texts = len(known.sequences)
    fixing = (texts - most_testing(texts)) // 2
    place = check_enough(fixing, target, given.confidence)
    found: dict[str, dict[str, object]] = {}
    for student in known.students:
        all_texts = np.concatenate([energy_of(known, student), energy_of(tested, student)])
        unknown = energy_of(strangers, student)
        kept, passed = [], []
        for redraw in range(given.redraws):
            drawn = np.random.default_rng(redraw).choice(all_texts, fixing)
            limit = limit_of(drawn, place, margin)
            kept.append(share(all_texts, limit, margin))
            passed.append(share(unknown, limit, margin))
        less = int((np.array(kept) < given.kept).sum())
        ends = binomtest(less, given.redraws).proportion_ci(method="exact")
        found[student.name] = {
            "fixed_by": fixing,
            "kept_less": round(less / given.redraws, 4),
            "interval": [round(float(ends.low), 4), round(float(ends.high), 4)],
            "kept_percent": round(100 * float(np.mean(kept)), 2),
            "passing_percent": round(100 * float(np.mean(passed)), 2),
        }
    return found


def share(energies: NDArray[np.float32], limit: float, margin: float) -> float:
    return float(accepts(energies, limit, margin).mean())


if __name__ == "__main__":
    main()
