"""The engine in a thread of the server, or the weights in a process of their own.

    python -m benchmarks.server.engine CHECKPOINT --data test.jsonl [--seconds 10] [--repeats 5]

Both serve the same checkpoint, one thread per operation, brownout off, to the same clients: one
that waits for each answer, and 64 of them. They take turns; each figure is the median over the
repeats, and the ratio is that of each repeat's two figures. CPU time is that of all processes of
the server. `thread` exists in this file alone: the product has one way. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from nestling.loadtest.texts import read_texts

from .closed import closed_loop
from .serving import BenchmarkServer, asked, compared, cpu_seconds, machine, nestling

CLIENTS = (1, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--in-thread", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_thread:
        serve_in_thread(given.checkpoint)
        return
    texts = read_texts(given.data)
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(given.repeats):
        for name in ("thread", "process"):
            with start(name, given.checkpoint) as server:
                setup = asked(server, texts)
                closed_loop(setup, 16, 2)  # warms up
                processes = (server.main, *server.main.children())
                for clients in CLIENTS:
                    before = cpu_seconds(*processes)
                    records = closed_loop(setup, clients, given.seconds)
                    spent = cpu_seconds(*processes) - before
                    p50, p99 = 1e3 * np.quantile(records.requests.latency, (0.5, 0.99))
                    for figure, value in {
                        "per_second": len(records) / given.seconds,
                        "p50_ms": p50,
                        "p99_ms": p99,
                        "cpu_us": 1e6 * spent / len(records),
                    }.items():
                        figures[f"{clients} clients: {figure}"][name].append(value)
    print(
        json.dumps(
            {
                "benchmark": "engine",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.engine models/zoo/clinc150 "
                "--data test.jsonl",
                "seconds": given.seconds,
                "repeats": given.repeats,
                "figures": {
                    name: compared(ways, "thread", "process") for name, ways in figures.items()
                },
            }
        )
    )


def start(name: str, checkpoint: str) -> BenchmarkServer:
    if name == "process":
        return nestling(checkpoint, "--threads", "1", "--target-delay-ms", "0")
    return BenchmarkServer(
        [sys.executable, "-m", "benchmarks.server.engine", checkpoint, "--in-thread"]
    )


def serve_in_thread(checkpoint: str) -> None:
    import torch

    from nestling.models import load_checkpoint
    from nestling.models.runners.torch import TorchRunner
    from nestling.server.build import assemble
    from nestling.server.engine.in_process import InProcessExecutor
    from nestling.server.http.app import create_app
    from nestling.server.settings import Settings
    from nestling.server.supervisor.listeners import bind, url_of
    from nestling.server.supervisor.run import run

    torch.set_num_threads(1)
    settings = Settings(port=0, target_delay_ms=0)

    def load(_: Path | None, __: object = None) -> InProcessExecutor:
        return InProcessExecutor(TorchRunner(load_checkpoint(checkpoint)))

    with bind(settings) as listeners:
        app = create_app(assemble(load(None), settings, load), settings)
        run(app, settings, listeners, lambda: print(url_of(listeners.main), flush=True))


if __name__ == "__main__":
    main()
