"""Which score tells best whether a small student is right: the share that it could answer.

    python -m benchmarks.training.confidence CHECKPOINT --data validation.jsonl --test test.jsonl

For each student and score: the share of the test texts that it could answer, most confident
first, if it may be wrong where the TA is right on 0.5 % of all; the threshold is read off the same
texts, alike for every score. The logistic rule weighs all the others, fitted on the other file.
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
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nestling.models import Checkpoint, load_checkpoint
from nestling.models.checkpoint.manifest import TA
from nestling.models.evaluation.predictions import Predictions, predict_all
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled

ALPHA = 0.005
Scores = dict[str, NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    given = parser.parse_args()
    checkpoint = load_checkpoint(given.checkpoint)
    (fitting, fitting_truth), (testing, truth) = (
        answers(checkpoint, path) for path in (given.data, given.test)
    )
    shares = {}
    for name in [name for name in checkpoint.students if name != TA]:
        known, known_right = scores(fitting, name), right(fitting, name, fitting_truth)
        found = scores(testing, name)
        rule = make_pipeline(StandardScaler(), LogisticRegression())
        rule.fit(np.column_stack(list(known.values())), known_right)
        found["logistic rule"] = rule.predict_proba(np.column_stack(list(found.values())))[:, 1]
        broken = right(testing, TA, truth) & ~right(testing, name, truth)
        shares[name] = {
            score: round(100 * accepted(values, broken), 2) for score, values in found.items()
        }
    print(
        json.dumps(
            {
                "benchmark": "confidence",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {n: version(n) for n in ("nestling", "torch", "scikit-learn")},
                "weights_sha256": checkpoint.weights_sha256,
                "texts": len(truth),
                "accepted": shares,
            }
        )
    )


def answers(checkpoint: Checkpoint, path: Path) -> tuple[Predictions, torch.Tensor]:
    """Every student's logits on a file, and the truth."""
    labelled = read_labelled(path)
    truth = torch.tensor(answers_in(labelled, checkpoint.architecture.head(), path))
    return predict_all(checkpoint, labelled.texts, path), truth


def scores(predictions: Predictions, student: str) -> Scores:
    """The higher the surer."""
    logits = predictions.logits[student]
    probability = torch.softmax(logits.float(), dim=-1)
    first, second = probability.topk(2, dim=-1).values.unbind(-1)
    named = {
        "highest probability": first,
        "margin": first - second,
        "entropy": -torch.special.entr(probability).sum(dim=-1),
        "highest logit": logits.max(dim=-1).values,
    }
    return {name: value.double().numpy() for name, value in named.items()}


def right(predictions: Predictions, student: str, truth: torch.Tensor) -> NDArray[np.bool_]:
    return (predictions.labels(student) == truth).numpy()


def accepted(values: NDArray[np.float64], broken: NDArray[np.bool_]) -> float:
    """The largest share whose breakage stays within ALPHA of all texts."""
    breakage = np.cumsum(broken[np.argsort(-values, kind="stable")])
    return float(np.mean(breakage <= ALPHA * len(values)))


if __name__ == "__main__":
    main()
