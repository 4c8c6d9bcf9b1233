"""What one single-text request costs, of CPU time and of waiting, step by step of the code.

    python -m benchmarks.server.speed --data test.jsonl --step before=OLD/bin/python --step now

Each step is a server of the shipped checkpoint by its own interpreter, which may have another
version of the code installed; the client is the same for all. Single texts come at three rates: a
low one, where the latency is that of a request alone; a steady one, for CPU time per request; and
one far beyond, for what is answered when all cores are full. The steps take turns, `--repeats`
times, and medians stand. Prints one JSON line; CPU times in microseconds per request.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.results.summary import Truth, summarize
from nestling.loadtest.texts import Texts, read_texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .serving import asked, cpu_seconds, machine, nestling

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
RATES = {"alone": 20.0, "steady": 800.0, "beyond": 5000.0}
CONNECTIONS = 64
WARM_UP = 1.0
OBJECTIVE_MS = 100.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--step", action="append", required=True, metavar="NAME[=PYTHON]")
    parser.add_argument("--runner", default="onnx-int8")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    texts = read_texts(given.data)
    interpreters = dict(step.partition("=")[::2] for step in given.step)
    runs: dict[str, list[dict[str, dict[str, float]]]] = {name: [] for name in interpreters}
    for repeat in range(given.repeats):
        for name, python in interpreters.items():
            found = measured(texts, python or sys.executable, given.runner, given.seconds, repeat)
            runs[name].append(found)
            print(name, json.dumps(found), file=sys.stderr)
    print(
        json.dumps(
            {
                "benchmark": "speed",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.speed --data test.jsonl --step …",
                "runner": given.runner,
                "rates": RATES,
                "seconds": given.seconds,
                "repeats": given.repeats,
                "steps": {name: medians(found) for name, found in runs.items()},
            }
        )
    )


def measured(
    texts: Texts, python: str, runner: str, seconds: float, seed: int
) -> dict[str, dict[str, float]]:
    """One server, by rate."""
    truth, found = Truth(np.array(texts.labels, object)), {}
    with nestling(str(SHIPPED), "--runner", runner, "--target-delay-ms", "0", python=python) as on:
        setup = asked(on, texts, processes=1, connections=CONNECTIONS)
        for name, rate in RATES.items():
            rng = np.random.default_rng(seed)
            with LoadGenerator(setup) as generator:
                moments = arrivals(steps([rate], WARM_UP), Spacing.POISSON, rng)
                generator.send(moments, rng)
                spent = {"server": cpu_seconds(on.main), "worker": cpu_seconds(on.worker)}
                moments = arrivals(steps([rate], seconds), Spacing.POISSON, rng)
                records, _ = generator.send(moments, rng)
            spent = {
                "server": cpu_seconds(on.main) - spent["server"],
                "worker": cpu_seconds(on.worker) - spent["worker"],
                "client": records.cpu_seconds,
            }
            summary: dict[str, Any] = summarize(records, records.window, OBJECTIVE_MS, truth, 0.0)
            found[name] = {
                "p50_ms": summary["latency_ms"]["p50"],
                "answers_per_second": summary["answered"] / records.window,
                "accuracy": summary["accuracy"],
                **{f"{of}_us": 1e6 * used / len(records) for of, used in spent.items()},
            }
    return found


def medians(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of the repeats."""
    return {
        rate: {
            of: round(
                statistics.median(run[rate][of] for run in runs), 4 if of == "accuracy" else 2
            )
            for of in runs[0][rate]
        }
        for rate in runs[0]
    }


if __name__ == "__main__":
    main()
