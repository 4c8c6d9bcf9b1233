"""Runs the warm-up on a CUDA device that is not there, then batches at random.

Usage: python -m tests.models.runners.warmed CHECKPOINT DTYPE MAX_TOKENS BATCHES

Prints as JSON how many variants the warm-up needed, and those that only the others did. A process
of its own, for Triton's interpreter must not have been chosen in it.
"""

from __future__ import annotations

import json
import random
import sys

import torch

from benchmarks.kernels.pretended import placed, pretended
from benchmarks.kernels.recorder import recorded
from nestling.models import load_checkpoint
from nestling.models.progress import SILENT
from nestling.models.runners.base import ForwardBatch
from nestling.models.runners.torch import TorchRunner


def main(path: str, dtype: str, max_tokens: int, batches: int) -> None:
    checkpoint = load_checkpoint(path)
    generator = random.Random(0)
    with pretended():
        runner = TorchRunner(placed(checkpoint, getattr(torch, dtype)))
        with recorded() as launches:
            runner.warm_up(max_tokens, SILENT)
        warm = {launch.variant for launch in launches}
        cold = set()
        for _ in range(batches):
            batch = drawn(generator, list(checkpoint.students), runner, max_tokens)
            with recorded() as launches:
                runner.forward(batch)
                runner.embed(batch.sequences[:1], batch.runs[0][0], 3)
            cold |= {launch.variant for launch in launches} - warm
    print(json.dumps({"warm": len(warm), "cold": sorted(map(str, cold))}))


def drawn(
    generator: random.Random, students: list[str], runner: TorchRunner, max_tokens: int
) -> ForwardBatch:
    """Some students, some sequences of each, all lengths; small batches as often as large ones."""
    names = sorted(generator.sample(students, generator.randint(1, len(students))))
    most = max(len(names), int(max_tokens ** generator.random()))
    longest = generator.choice((1, 12, runner.manifest.architecture.max_tokens))
    sequences: list[list[int]] = []
    runs = []
    for name in names:
        left = most // len(names)
        count = 0
        while left > 0 and (count == 0 or generator.random() > 1e-3):
            sequences.append([1] * generator.randint(1, min(left, longest)))
            left -= len(sequences[-1])
            count += 1
        runs.append((name, count))
    return ForwardBatch.ruled(sequences, runs, [(1.0, 1.0, 1.0, 1.0)] * len(sequences))


if __name__ == "__main__":
    path, dtype, max_tokens, batches = sys.argv[1:]
    main(path, dtype, int(max_tokens), int(batches))
