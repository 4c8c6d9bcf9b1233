"""What each ingredient of the training recipe buys: the same short run with one thing changed.

    python -m benchmarks.training.recipe --teacher ENCODER --data train.jsonl \\
        --validation validation.jsonl --test test.jsonl --work DIR [--steps 469] [--only plain …]

Fine-tunes the teacher once, measures it, and lets every variant start from it. DIR keeps the
teacher and the results, so that a run that was killed goes on. Prints a JSON line per variant and
all of them as the last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from nestling.cli.progress import ProgressDisplay
from nestling.models import load_checkpoint
from nestling.models.cascade.score import Score
from nestling.models.evaluation.predictions import Predictions, predict_all
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled
from nestling.models.nested.spec import StudentSpec
from nestling.models.progress import Progress
from nestling.models.training.examples import Examples, accuracy
from nestling.models.training.material import Options, gather_material
from nestling.models.training.plan import Wishes
from nestling.models.training.run import TrainingRun

TEACHERS: dict[str, dict[str, Any]] = {
    "teacher": {},
    "teacher, one rate": {"head_rate": 1.0},
}
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "no pool": {"pool": 0},
    "no pool for the TA": {"pool_ta": 0},
    "pool of single labels": {"across": 0.0},
    "TA in every step": {"ta_every": 1},
    "one rate": {"ta_rate": 1.0},
    "no labels": {"label_weight": 0.0},
    "no importance order": {"importance_batches": 0},
    "relations": {"relation_weight": 0.1},
}
SHAPES: dict[str, dict[str, Any]] = {  # of a student with about 2 % of the TA's FLOPs, alone
    "last layer": {"layers": [5], "dim": 384, "attention_heads": [12], "ffn": [1536]},
    "first layer": {"layers": [0], "dim": 384, "attention_heads": [12], "ffn": [1536]},
    "last layer, a third of the heads": {
        "layers": [5],
        "dim": 384,
        "attention_heads": [4],
        "ffn": [1536],
    },
    "two narrow layers": {
        "layers": [2, 5],
        "dim": 96,
        "attention_heads": [4, 4],
        "ffn": [384, 384],
    },
}
KEPT = ("teacher.safetensors", "targets-training.safetensors", "targets-unlabelled.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=469)
    names = [*TEACHERS, *RECIPES, *SHAPES]
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = []
    for name in dict.fromkeys(["teacher", *given.only]):
        file = given.work / f"{name}.json"
        if not file.exists():
            file.write_text(json.dumps(measure(name, given)), "utf-8")
        results.append(json.loads(file.read_text("utf-8")))
        print(json.dumps(results[-1]), flush=True)
    summary = {
        "benchmark": "recipe",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("nestling", "torch", "accelerate")},
        "steps": given.steps,
        "variants": results,
    }
    print(json.dumps(summary))


def measure(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """One variant: its seconds and its accuracies, in percent."""
    started = time.monotonic()
    if name in TEACHERS:
        result = teacher(name, given)
    else:
        result = students(name, RECIPES.get(name, {}), given)
    return {"variant": name, "seconds": round(time.monotonic() - started)} | result


def teacher(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune the teacher; keep it and its soft targets if it is the one for all variants."""
    options = options_of(name, given)
    with ProgressDisplay() as progress:
        run = run_of(options, TEACHERS[name], progress)
        _, judge = run.teacher()
        if name == "teacher":
            run.soft_targets(judge)
    if name == "teacher":
        for file in KEPT:
            shutil.copyfile(run.work.path / file, given.work / file)
    full = StudentSpec.full(run.material.architecture)
    measured = {}
    for kind, path in (("validation", given.validation), ("test", given.test)):
        labelled = read_labelled(path)
        m = run.material
        head = m.architecture.head()
        examples = Examples.of(labelled, head, path, m.tokenizer, m.longest)
        measured[kind] = percent(accuracy(judge, full, examples, "teacher"))
    return {"accuracy": measured}


def students(name: str, changed: Mapping[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Train one variant; what its students reach on the validation texts.

    accepted: share of the texts that the student could answer if 0.5 % of all might be wrong where
    the TA is right, with the threshold read off the same texts: what it could save in a cascade.
    """
    out = given.work / name
    kept = given.work / f"{name}.training"
    kept.mkdir(exist_ok=True)
    for file in KEPT:
        shutil.copyfile(given.work / file, kept / file)
    shapes = None
    if name in SHAPES:
        shapes = given.work / f"{name}.students.json"
        shapes.write_text(json.dumps({"tiny": SHAPES[name]}), "utf-8")
    with ProgressDisplay() as progress:
        run_of(options_of(name, given, shapes), changed, progress).train()
    checkpoint = load_checkpoint(out)
    labelled = read_labelled(given.validation)
    truth = torch.tensor(answers_in(labelled, checkpoint.architecture.head(), given.validation))
    predictions = predict_all(checkpoint, labelled.texts, given.validation)
    ta = predictions.ta
    right = {s.name: predictions.labels(s.name) == truth for s in predictions.students}
    shutil.rmtree(out)
    return {
        "relative_flops": {
            s.name: percent(s.flops.of(11) / ta.flops.of(11)) for s in predictions.students
        },
        "accuracy": {name: percent(hits.double().mean().item()) for name, hits in right.items()},
        "accepted": accepted(predictions, right),
    }


def options_of(name: str, given: argparse.Namespace, shapes: Path | None = None) -> Options:
    wishes = Wishes(steps=given.steps)
    return Options(given.teacher, given.data, given.work / name, students=shapes, wishes=wishes)


def run_of(options: Options, changed: Mapping[str, Any], progress: Progress) -> TrainingRun:
    """The run that the command would make, but for what is changed."""
    material = gather_material(options, progress)
    recipe = replace(material.recipe, **changed)
    return TrainingRun(options, material, recipe, Accelerator(mixed_precision="no"), progress)


def accepted(
    predictions: Predictions, right: Mapping[str, Tensor], alpha: float = 0.005
) -> dict[str, float]:
    """In percent, by student, the most confident texts first."""
    ta = predictions.ta.name
    shares = {}
    for student in predictions.students[:-1]:
        order = predictions.scores(student.name, 1.0, Score.PROBABILITY).argsort(descending=True)
        broken = (~right[student.name] & right[ta])[order].cumsum(0)
        allowed = int((broken <= alpha * len(order)).sum())
        shares[student.name] = percent(allowed / len(order))
    return shares


def percent(share: float) -> float:
    return round(100 * share, 2)


if __name__ == "__main__":
    main()
