"""Texts a second of `nestling classify` against a `transformers` pipeline with the same TA.

    python -m benchmarks.server.offline --data test.jsonl [--checkpoint DIR] [--rounds 3] [--rows N]

The TA is exported by `nestling export`, and a `text-classification` pipeline of it answers
`--peer-rows` of the texts on all cores by the batch size that suits it best of `--batches`, which
is looked for first. `nestling classify` answers a file of `--rows` texts, again and again the same,
by its default policy and runner and one process per core: all in all, from the command to the file;
and less what it takes for one row, which is starting and loading. Of the pipeline the calls alone
count, its loading does not. Both in turns, each in processes of its own. Beside the clock's seconds
stand those of the CPU, user and system, which other work on the machine moves less. The pipeline's
threads burn theirs while they wait for each other, most of all on a busy machine, so that the CPU
seconds of a pipeline with one thread stand beside them. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nestling.models.cores import cores

from .memory import SHIPPED
from .serving import machine, single_texts

BATCHES = (1, 8, 32, 64)
SAMPLE = 256
"""Texts on which the batch size is looked for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=45_000)
    parser.add_argument("--peer-rows", type=int, default=2_000)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--pipeline", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pipeline:
        print(json.dumps(_pipeline(given.pipeline, given.data, given.peer_rows, given.batches)))
        return
    texts = single_texts(given.data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exported = folder / "ta"
        _run(["export", str(given.checkpoint), "--student", "ta", "--out", str(exported)])
        many = _file(folder / "many.jsonl", texts, given.rows)
        one = _file(folder / "one.jsonl", texts, 1)
        batch = None
        rounds: list[dict[str, Any]] = []
        for _ in range(given.rounds):
            found = _peer(
                exported, given.data, given.peer_rows, [batch] if batch else given.batches
            )
            batch = found["batch"]
            alone = _peer(exported, given.data, given.peer_rows, [batch], 1)
            whole = _classify(given.checkpoint, many, folder / "many.out.jsonl")
            start = _classify(given.checkpoint, one, folder / "one.out.jsonl")
            rounds.append(_round(given.rows, given.peer_rows, found, alone, whole, start))
    versions = {n: version(n) for n in ("nestling", "transformers", "torch", "onnxruntime")}
    print(
        json.dumps(
            {
                "benchmark": "offline",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine() | {"versions": versions},
                "command": "python -m benchmarks.server.offline --data test.jsonl "
                f"--rounds {given.rounds} --rows {given.rows} --peer-rows {given.peer_rows}",
                "rows": given.rows,
                "peer_rows": given.peer_rows,
                "peer_batch": batch,
                "processes": cores(),
                "median": {
                    name: round(statistics.median(each[name] for each in rounds), 3)
                    for name in rounds[0]
                },
                "rounds": rounds,
            }
        )
    )


def _round(
    rows: int,
    peer_rows: int,
    peer: dict[str, Any],
    alone: dict[str, Any],
    whole: list[float],
    start: list[float],
) -> dict[str, float]:
    """alone: the peer with one thread. whole, start: seconds by the clock, and of the CPU."""
    rates = {
        "classify_texts_per_second": rows / whole[0],
        "answering_texts_per_second": rows / (whole[0] - start[0]),
        "pipeline_texts_per_second": peer_rows / peer["seconds"],
        "classify_cpu_us_per_text": 1e6 * whole[1] / rows,
        "answering_cpu_us_per_text": 1e6 * (whole[1] - start[1]) / rows,
        "pipeline_cpu_us_per_text": 1e6 * peer["cpu_seconds"] / peer_rows,
        "pipeline_one_thread_cpu_us_per_text": 1e6 * alone["cpu_seconds"] / peer_rows,
        "start_seconds": start[0],
    }
    peers = rates["pipeline_texts_per_second"]
    ratios = {
        "classify_over_pipeline": rates["classify_texts_per_second"] / peers,
        "answering_over_pipeline": rates["answering_texts_per_second"] / peers,
        "pipeline_cpu_over_classify": rates["pipeline_cpu_us_per_text"]
        / rates["classify_cpu_us_per_text"],
        "pipeline_cpu_over_answering": rates["pipeline_cpu_us_per_text"]
        / rates["answering_cpu_us_per_text"],
    }
    ratios["pipeline_one_thread_cpu_over_classify"] = (
        rates["pipeline_one_thread_cpu_us_per_text"] / rates["classify_cpu_us_per_text"]
    )
    return {name: round(value, 2) for name, value in {**rates, **ratios}.items()}


def _file(path: Path, texts: Sequence[str], rows: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            file.write(json.dumps({"id": row, "text": texts[row % len(texts)]}) + "\n")
    return path


def _classify(checkpoint: Path, path: Path, out: Path) -> list[float]:
    out.unlink(missing_ok=True)
    words = ["classify", str(checkpoint), "--input", str(path), "--output", str(out)]
    before, started = _children(), time.perf_counter()
    _run(words)
    return [time.perf_counter() - started, _children() - before]


def _children() -> float:
    """Seconds of the CPU that processes which have ended took, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(words: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "nestling.cli", *words], check=True, capture_output=True)


def _peer(
    exported: Path, data: Path, rows: int, batches: Sequence[int], threads: int | None = None
) -> dict[str, Any]:
    words = ["--pipeline", str(exported), "--data", str(data), "--peer-rows", str(rows),
             "--batches", *map(str, batches)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.server.offline", *words],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": str(threads or cores())},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _pipeline(exported: Path, data: Path, rows: int, batches: Sequence[int]) -> dict[str, Any]:
    """The pipeline in this process. Seconds by the clock and of the CPU, and the best batch."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    texts = single_texts(data)
    texts = [texts[row % len(texts)] for row in range(rows)]
    classifier = pipeline("text-classification", model=str(exported), device="cpu")
    classifier(texts[:8], batch_size=8)

    def taken(of: list[str], batch: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        classifier(of, batch_size=batch)
        return time.perf_counter() - wall, time.process_time() - cpu

    best = batches[0]
    if len(batches) > 1:
        best = min(batches, key=lambda batch: taken(texts[:SAMPLE], batch)[0])
    seconds, cpu_seconds = taken(texts, best)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "batch": best}


if __name__ == "__main__":
    main()
