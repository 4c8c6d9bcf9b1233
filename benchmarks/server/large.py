"""How long a large checkpoint takes to be read and checked, the first time and again.

    python -m benchmarks.server.large [--gib 1] [--repeats 3]

A checkpoint with random weights of so many GiB in float32, most of them in the table of token
embeddings, as in multilingual models. Two parts are timed, each in a process of its own: reading
the manifest, which hashes every file; and `load_checkpoint`, which does that too, looks whether all
weights are finite, and asks every student once. First with an empty cache, so that nothing is
remembered; then, `--repeats` times, with what the first left there. Seconds by the clock and of the
CPU; the file is in the page cache throughout. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import torch

from nestling.models import load_checkpoint
from nestling.models.checkpoint.integrity import read_hashed_json, sha256_of, write_hashed_json
from nestling.models.checkpoint.manifest import CONFIG, WEIGHTS
from nestling.models.checkpoint.remembered import SETTLED
from nestling.models.checkpoint.save import write_weights

from .serving import machine

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
PARTS = {
    "read_manifest": "from nestling.models.checkpoint.manifest import read_manifest as run",
    "load_checkpoint": "from nestling.models import load_checkpoint as run",
}
TIMED = """
import json, sys, time
from pathlib import Path
{imported}
path = Path(sys.argv[1])
wall, cpu = time.perf_counter(), time.process_time()
run(path)
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = _made(Path(name) / "large", given.gib)
        size = (path / WEIGHTS).stat().st_size
        sha256_of(path / WEIGHTS)  # into the page cache
        time.sleep(SETTLED + 1)  # what was written just now is not remembered
        parts = {}
        for part, imported in PARTS.items():
            with tempfile.TemporaryDirectory() as cache:
                first = _timed(path, imported, cache)
                again = [_timed(path, imported, cache) for _ in range(given.repeats)]
            parts[part] = {
                "first": _named(first),
                "again": _named([statistics.median(each) for each in zip(*again, strict=True)]),
            }
    print(
        json.dumps(
            {
                "benchmark": "large",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": f"python -m benchmarks.server.large --gib {given.gib:g}",
                "repeats": given.repeats,
                "mib": round(size / 2**20),
                **parts,
            }
        )
    )


def _made(path: Path, gib: float) -> Path:
    """The shipped checkpoint in float32, with a longer table of tokens."""
    shipped = load_checkpoint(SHIPPED)
    weights = dict(shipped.model.state_dict())
    table = "tokens"
    rows = int(gib * 2**28 / weights[table].shape[1])
    weights[table] = torch.randn(rows, weights[table].shape[1]) * 0.02
    path.mkdir()
    for file in ("tokenizer.json", CONFIG):
        (path / file).write_bytes((SHIPPED / file).read_bytes())
    write_weights(weights, path / WEIGHTS)
    config = read_hashed_json(path / CONFIG)
    config["architecture"]["vocabulary"] = rows
    config["files"] = {file: sha256_of(path / file) for file in (WEIGHTS, "tokenizer.json")}
    write_hashed_json(path / CONFIG, config)
    return path


def _timed(path: Path, imported: str, cache: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(imported=imported), str(path)],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "XDG_CACHE_HOME": cache},
    )
    found: list[float] = json.loads(done.stdout)
    return found


def _named(times: list[float]) -> dict[str, float]:
    return {"seconds": round(times[0], 3), "cpu_seconds": round(times[1], 3)}


if __name__ == "__main__":
    main()
