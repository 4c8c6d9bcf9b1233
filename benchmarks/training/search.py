"""What a search buys: the cascade of the trained students beside that with the students found.

    python -m benchmarks.training.search models/zoo/clinc150 --data search.jsonl \\
        --calibration calibration.jsonl --test test.jsonl [--alpha 0.01] [--minutes 10]

Searches with the texts of `--data`, calibrates both sets of students on those of `--calibration`
as `nestling calibrate` does, ordered by those alone, and asks everybody about those of `--test`, at
which nothing has looked. A student that was found is set beside the trained ones: `front` says who
is at least as right on test as every cheaper one. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nestling.cli.progress import ProgressDisplay
from nestling.models.calibration.calibrate import calibrate
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.policy import Cascade, Student
from nestling.models.checkpoint.load import Checkpoint, load_checkpoint
from nestling.models.checkpoint.seen import refuse_to_search
from nestling.models.errors import NestlingError
from nestling.models.evaluation.accuracy import answer
from nestling.models.evaluation.predictions import Predictions, predict_all
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import Labelled, read_labelled
from nestling.models.precision import margin_of
from nestling.models.progress import Progress
from nestling.models.search.found import SearchResult
from nestling.models.search.run import SearchOptions, search

from .guarantee import origin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="texts to search with")
    parser.add_argument("--calibration", type=Path, required=True, help="other texts")
    parser.add_argument("--test", type=Path, required=True, help="yet other texts")
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with ProgressDisplay() as progress:
        found = measured(given, progress)
    print(json.dumps(found))


def measured(given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    checkpoint = load_checkpoint(given.checkpoint)
    texts, truth = _read(checkpoint, given.data)
    for doubt in refuse_to_search(checkpoint, texts.texts, texts.sha256, given.data):
        progress.note(f"warning: {doubt}")
    options = SearchOptions(given.alpha, seconds=60 * given.minutes, seed=given.seed)
    found = search(
        checkpoint, texts.texts, truth, str(given.data), texts.sha256, options, progress=progress
    )
    wider = _with(checkpoint, found)
    test, right = _read(checkpoint, given.test)
    asked = predict_all(wider, test.texts, given.test, progress=progress)
    target = RiskTarget(given.alpha)
    cascades = {
        name: _calibrated(each, given.calibration, target, asked, right, progress)
        for name, each in (("trained", checkpoint), ("with those found", wider))
    }
    return {
        "benchmark": "search",
        **origin(),
        "checkpoint": given.checkpoint.name,
        "options": asdict(options),
        "asked": found.asked,
        "ended": found.ended,
        "texts": {"looked at": found.looked_at, "measuring": found.measured_on,
                  "test": len(test.texts)},
        "found": {name: each.to_json() for name, each in found.added.items()},
        "planned": {"trained": asdict(found.before), "with those found": asdict(found.after)},
        "students": _students(wider, asked, right, set(found.added)),
        "cascades": cascades,
    }  # fmt: skip


def _read(checkpoint: Checkpoint, file: Path) -> tuple[Labelled, Tensor]:
    labelled = read_labelled(file)
    return labelled, torch.tensor(answers_in(labelled, checkpoint.architecture.head(), file))


def _with(checkpoint: Checkpoint, found: SearchResult) -> Checkpoint:
    """The checkpoint as it is with the students that were found."""
    a = checkpoint.architecture
    fresh = [Student.of(name, each.spec, a) for name, each in found.added.items()]
    *others, ta = checkpoint.students.values()
    ordered = sorted([*others, *fresh], key=lambda each: each.flops.of(16))
    return replace(checkpoint, students={each.name: each for each in [*ordered, ta]})


def _calibrated(
    checkpoint: Checkpoint,
    file: Path,
    target: RiskTarget,
    asked: Predictions,
    right: Tensor,
    progress: Progress,
) -> dict[str, Any]:
    """The cascade that calibration finds, and what it does on the test texts."""
    texts, truth = _read(checkpoint, file)
    predictions = predict_all(checkpoint, texts.texts, file, progress=progress)
    margin = margin_of("float32")
    try:
        found = calibrate(checkpoint, predictions, truth, target, "found", texts.sha256, margin)
    except NestlingError as error:
        return {"refused": str(error)}
    ta = answer(asked, Cascade.alone(asked.ta))
    ours = answer(asked, found.cascade)
    was_right, is_right = ta.label == right, ours.label == right
    return {
        "stages": [stage.student.name for stage in found.cascade.stages],
        "times_fewer_flops": round((ta.flops.mean() / ours.flops.mean()).item(), 3),
        "lost": round((~is_right & was_right).double().mean().item(), 5),
        "accuracy": round(is_right.double().mean().item(), 5),
    }


def _students(
    checkpoint: Checkpoint, asked: Predictions, right: Tensor, found: set[str]
) -> dict[str, Any]:
    """Every student alone on the test texts, cheapest first."""
    told: dict[str, Any] = {}
    ta_flops, best = asked.flops(asked.ta).mean().item(), 0.0
    for name, student in checkpoint.students.items():
        accuracy = (asked.labels(name) == right).double().mean().item()
        told[name] = {
            "found": name in found,
            "relative_flops": round(asked.flops(student).mean().item() / ta_flops, 5),
            "accuracy": round(accuracy, 5),
            "front": accuracy >= best,
        }
        best = max(best, accuracy)
    return told


if __name__ == "__main__":
    main()
