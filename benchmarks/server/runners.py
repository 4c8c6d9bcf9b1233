"""torch in float32 and bfloat16, ONNX Runtime in float32 and int8: every student, one text and 32
texts at a time.

    python -m benchmarks.server.runners --data test.jsonl [--checkpoint DIR] [--texts 1000] \\
        [--batches 100]

Every batch is run by all runners in turn, on one thread. Milliseconds are of that thread's CPU
time, which is what a clock shows on an idle machine, and medians over the batches with their
quartiles. A batch of one is bound by the overhead of each operation, one of 32 by arithmetic.
Accuracy, and the share of labels that are torch's, are of `--texts` texts drawn from the data,
in batches of 32. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nestling.models import StudentSpec, load_checkpoint
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled
from nestling.models.nested.batch import PackedBatch
from nestling.models.runners.base import ModelRunner
from nestling.models.runners.onnx.runner import OnnxRunner
from nestling.models.runners.torch import TorchRunner

SIZES = (1, 32)
SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(given.checkpoint)
    labelled = read_labelled(given.data)
    truth = torch.tensor(answers_in(labelled, checkpoint.architecture.head(), given.data))
    drawn = random.Random(0).sample(range(len(truth)), min(given.texts, len(truth)))
    truth = truth[drawn]
    texts = checkpoint.tokenizer.encode([labelled.texts[i] for i in drawn])
    half = load_checkpoint(given.checkpoint, torch.bfloat16)
    runners: dict[str, ModelRunner] = {
        "torch": TorchRunner(checkpoint),
        "bfloat16": TorchRunner(half),
    }
    runners["onnx"] = OnnxRunner(checkpoint, "float32", threads=1)
    runners["onnx-int8"] = OnnxRunner(checkpoint, "int8", threads=1)
    students: dict[str, Any] = {}
    for name, student in checkpoint.students.items():
        labels = {key: answer(by, student.spec, texts) for key, by in runners.items()}
        students[name] = {
            "cpu_milliseconds": {
                f"batch of {size}": milliseconds(runners, student.spec, texts, size, given.batches)
                for size in SIZES
            },
            "accuracy": {key: share(found, truth) for key, found in labels.items()},
            "labels_of_torch": {
                key: share(found, labels["torch"]) for key, found in labels.items()
            },
        }
    print(
        json.dumps(
            {
                "benchmark": "runners",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "threads": 1,
                "versions": {name: version(name) for name in ("nestling", "torch", "onnxruntime")},
                "data": {"file": given.data.name, "sha256": labelled.sha256},
                "texts": len(texts),
                "tokens_per_text": round(sum(map(len, texts)) / len(texts), 2),
                "batches": given.batches,
                "students": students,
            }
        )
    )


def milliseconds(
    runners: Mapping[str, ModelRunner],
    spec: StudentSpec,
    texts: Sequence[list[int]],
    size: int,
    batches: int,
) -> dict[str, list[float]]:
    """Of one batch: median, lower and upper quartile, by runner."""
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(batches + 3):
        rows = [texts[(number * size + i) % len(texts)] for i in range(size)]
        for name, runner in runners.items():
            batch = PackedBatch.of(rows, spec)
            started = time.process_time()
            runner.logits(batch)
            if number >= 3:  # the first ones warm up
                taken[name].append((time.process_time() - started) * 1e3)
    result = {}
    for name, values in taken.items():
        low, median, high = statistics.quantiles(values, n=4)
        result[name] = [round(value, 3) for value in (median, low, high)]
    return result


def answer(
    by: ModelRunner, spec: StudentSpec, texts: Sequence[list[int]], size: int = 32
) -> Tensor:
    """Labels of all texts: (texts,) int64."""
    chunks = (texts[start : start + size] for start in range(0, len(texts), size))
    return torch.cat([by.logits(PackedBatch.of(chunk, spec)).argmax(-1).cpu() for chunk in chunks])


def share(found: Tensor, expected: Tensor) -> float:
    """Of the labels that are as expected."""
    return round((found == expected).double().mean().item(), 4)


if __name__ == "__main__":
    main()
