"""What each ingredient of the training recipe buys: the same short run with one thing changed.

    python docs/benchmarks/recipe.py --teacher ENCODER --data train.jsonl \\
        --validation validation.jsonl --work DIR [--epochs 2] [--only default no-pool …]

A run keeps its fine-tuned teacher and the soft targets in `<out>.training/` while it lasts. Copies
of those two files in DIR spare every variant from making them anew. Prints a JSON line per variant
and all of them as the last line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

from nestling.models import load_checkpoint
from nestling.models.data import label_indices, read_labelled
from nestling.models.training.examples import Examples, accuracy
from nestling.models.training.recipe import Recipe
from nestling.models.training.run import Options, train

VARIANTS = {
    "default": {},
    "no-pool": {"pool_batch": 0},
    "ta-without-pool": {"pool_ta": 0},
    "one-rate": {"ta_rate": 1.0},
    "no-labels": {"label_weight": 0.0},
    "unordered": {"importance_batches": 0},
    "relations": {"relation_weight": 0.1},
}
SHARED = ("teacher.safetensors", "targets.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    given = parser.parse_args()
    results = []
    for name in given.only:
        recipe = replace(Recipe(), **VARIANTS[name])
        recipe = replace(recipe, joint=replace(recipe.joint, epochs=given.epochs))
        results.append(run(name, recipe, given))
        print(json.dumps(results[-1]), flush=True)
    print(json.dumps({"benchmark": "recipe", "epochs": given.epochs, "variants": results}))


def run(name: str, recipe: Recipe, given: argparse.Namespace) -> dict[str, object]:
    """Train one variant and measure its students on the validation texts."""
    out = given.work / name
    kept = given.work / f"{name}.training"
    kept.mkdir(parents=True, exist_ok=True)
    for file in SHARED:
        if (given.work / file).exists() and not (kept / file).exists():
            shutil.copyfile(given.work / file, kept / file)
    started = time.monotonic()
    train(Options(given.teacher, given.data, given.validation, out), recipe)
    seconds = time.monotonic() - started
    checkpoint = load_checkpoint(out)
    labelled = read_labelled(given.validation)
    labels = label_indices(labelled, checkpoint.architecture.labels, given.validation)
    texts = Examples.of(labelled.texts, labels, checkpoint.tokenizer, 128)
    accuracies = {
        s.name: round(100 * accuracy(checkpoint.model, s.spec, texts), 2)
        for s in checkpoint.students.values()
    }
    return {"variant": name, "seconds": round(seconds), "accuracy": accuracies}


if __name__ == "__main__":
    main()
