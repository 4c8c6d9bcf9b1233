"""The cascades in bfloat16, as a GPU rounds it: accuracy, risk and FLOPs beside float32.

    python -m benchmarks.training.bfloat16 --data test.jsonl [--checkpoint DIR] > FILE

Calibrate first: `nestling calibrate DIR --data validation.jsonl --precision bfloat16`. All texts of
the data, by every cascade of each precision, in batches by length; bfloat16 on a GPU if there is
one, else emulated. `from_float32`: how far each student's confidences lie from those in float32, at
one temperature, and how many texts get another label. `from_another_order`: how far from an
emulation whose products add up in the opposite order, which is what the gate's margin is for.
`cpu_seconds` are those of asking every student about every text. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor

from nestling.kernels.emulated import EMULATED
from nestling.kernels.gate.reference import MARGINS
from nestling.kernels.layout import Groups
from nestling.kernels.prefix import Prefix
from nestling.models import Cascade, load_checkpoint
from nestling.models.cascade.score import Score
from nestling.models.evaluation.accuracy import answer
from nestling.models.evaluation.predictions import Predictions, predict_all
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled
from nestling.models.precision import Precision
from nestling.server.build import load_for

from .int8 import cpu, rate

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    given = parser.parse_args()
    labelled = read_labelled(given.data)
    policies: dict[str, Any] = {}
    found: dict[Precision, Predictions] = {}
    seconds: dict[Precision, float] = {}
    for precision in PRECISIONS:
        print(f"asking every student in {precision}", file=sys.stderr)
        checkpoint, runner = load_for(given.checkpoint, precision)
        truth = torch.tensor(answers_in(labelled, checkpoint.architecture.head(), given.data))
        started = process_time()
        found[precision] = predict_all(checkpoint, labelled.texts, given.data, runner)
        seconds[precision] = round(process_time() - started, 1)
        for policy in (*checkpoint.cascades, "ta"):
            kept = found["float32"].labels("ta")
            policies[f"{precision} {policy}"] = row(
                checkpoint.policy(policy), found[precision], kept, truth
            )
    print(
        json.dumps(
            {
                "benchmark": "bfloat16",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": f"python -m benchmarks.training.bfloat16 --data {given.data.name}",
                "machine": f"{cpu()}, {os.cpu_count()} cores",
                "device": runner.device,
                "emulated": runner.device == "cpu",
                "versions": {name: version(name) for name in ("nestling", "torch")},
                "data": {
                    "file": given.data.name,
                    "sha256": labelled.sha256,
                    "texts": len(labelled.texts),
                },
                "policies": policies,
                "cpu_seconds": seconds,
                "from_float32": compared(found["bfloat16"], found["float32"]),
                "from_another_order": compared(
                    found["bfloat16"],
                    predict_all(
                        load_checkpoint(given.checkpoint, torch.bfloat16, operations=REORDERED),
                        labelled.texts,
                        given.data,
                    ),
                ),
                "margin": MARGINS[torch.bfloat16],
            }
        )
    )


def row(
    cascade: Cascade, predictions: Predictions, kept: Tensor, truth: Tensor
) -> dict[str, float | None]:
    """One policy in one precision. kept: (texts,) int64, what the TA answers in float32."""
    answers, ta = answer(predictions, cascade), answer(predictions, Cascade.alone(predictions.ta))
    right, ta_right = answers.label == truth, kept == truth
    last = answers.stage == len(cascade.stages) - 1
    return {
        "accuracy": rate(right.tolist()),
        "risk": rate((~right & ta_right).tolist()),
        "promised": cascade.guarantee.alpha if cascade.guarantee else None,
        "relative_flops": round((answers.flops / ta.flops).mean().item(), 5),
        "reach_the_ta": rate(last.tolist()),
    }


def compared(ours: Predictions, theirs: Predictions) -> dict[str, dict[str, float]]:
    """Two ways to compute the same, by student."""
    found = {}
    for student in ours.students:
        name = student.name
        confidences = [
            each.scores(name, student.temperature, Score.PROBABILITY) for each in (ours, theirs)
        ]
        apart = (confidences[0] - confidences[1]).abs().sort()[0]
        found[name] = {
            "other_label": rate((ours.labels(name) != theirs.labels(name)).tolist()),
            "apart_p99": float(f"{apart[int(0.99 * len(apart))]:.2g}"),
            "apart_largest": float(f"{apart[-1]:.2g}"),
            "apart_by_more_than_the_margin": rate((apart > MARGINS[torch.bfloat16]).tolist()),
        }
    return found


def _backwards(
    x: Tensor, prefixes: Sequence[Prefix | None], rows: Groups, *rest: Any, **named: Any
) -> Tensor:
    """A linear layer of one group that adds up from the last column to the first."""
    own = prefixes[0]
    if len(prefixes) > 1 or own is None:  # as when a checkpoint is checked
        return EMULATED.linear(x, prefixes, rows, *rest, **named)
    turned = Prefix(own.weight.flip(1), own.bias)
    return EMULATED.linear(x[:, : own.weight.shape[1]].flip(1), [turned], rows, *rest, **named)


REORDERED = replace(EMULATED, linear=_backwards)


if __name__ == "__main__":
    main()
