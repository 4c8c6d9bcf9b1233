"""What all students take in memory, against the TA alone in the same runner.

    python -m benchmarks.server.memory --data test.jsonl [--checkpoint DIR] [--repeats 3]

Each runner serves the checkpoint and the same weights without students, in turns. Each student, and
the default cascade, is asked by eight clients for `--seconds`, so that all is loaded that is used;
then the proportional set size (PSS) of server and worker is read: pages that several processes
share count in parts, so the sum is what the machine gives. Graphs are made beforehand. Medians, in
MiB, and the sums of each repeat. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
import torch

from nestling.loadtest.texts import Texts, read_texts
from nestling.models import load_checkpoint
from nestling.models.checkpoint.save import write_checkpoint

from .closed import closed_loop
from .serving import asked, machine, nestling

RUNNERS = ("torch", "onnx", "onnx-int8")
SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
CLIENTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    texts = read_texts(given.data)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        checkpoints = {
            "all": (given.checkpoint, ["auto", *load_checkpoint(given.checkpoint).students]),
            "ta": (alone(given.checkpoint, Path(folder) / "alone"), ["ta"]),
        }
        runners = {}
        for runner in RUNNERS:
            for path, _ in checkpoints.values():
                with nestling(str(path), "--processes", "1", "--runner", runner):
                    pass  # the graphs are there now
            found: dict[str, list[dict[str, float]]] = {name: [] for name in checkpoints}
            for _ in range(given.repeats):
                for name, (path, models) in checkpoints.items():
                    found[name].append(served(path, runner, models, texts, given.seconds))
            runners[runner] = compared(found)
    print(
        json.dumps(
            {
                "benchmark": "memory",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.memory --data test.jsonl",
                "seconds": given.seconds,
                "repeats": given.repeats,
                "runners": runners,
            }
        )
    )


def alone(checkpoint: Path, path: Path) -> Path:
    """The same weights, and nobody but the TA to answer."""
    whole = load_checkpoint(checkpoint, torch.bfloat16)
    tokenizer = checkpoint / "tokenizer.json"
    weights = whole.model.state_dict()
    write_checkpoint(path, whole.architecture, {}, weights, tokenizer, whole.provenance)
    return path


def served(
    path: Path, runner: str, models: list[str], texts: Texts, seconds: float
) -> dict[str, float]:
    """PSS of server and worker once each model has been asked, in MiB."""
    with nestling(
        str(path),
        "--processes",
        "1",
        "--runner",
        runner,
        "--threads",
        "1",
        "--target-delay-ms",
        "0",
    ) as one:
        for model in models:
            closed_loop(asked(one, texts), CLIENTS, seconds, model)
        return {"server": pss(one.main), "worker": pss(one.worker)}


def pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss / 2**20)


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians by process, the sums of both, and how many times the TA's all of them are."""
    sizes = {
        name: {
            process: round(statistics.median(each[process] for each in repeats), 1)
            for process in ("server", "worker")
        }
        for name, repeats in found.items()
    }
    sums = {
        name: [round(sum(each.values()), 1) for each in repeats] for name, repeats in found.items()
    }
    ratio = statistics.median(sums["all"]) / statistics.median(sums["ta"])
    return {
        **{f"{name}_mib": {**sizes[name], "sums": sums[name]} for name in found},
        "all_over_ta": round(ratio, 3),
    }


if __name__ == "__main__":
    main()
