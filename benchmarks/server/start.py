"""From the command to the first possible answer, by runner, with and without graphs of before.

    python -m benchmarks.server.start [--repeats 3]

`nestling serve` is started with the shipped checkpoint and stopped as soon as it announces itself:
once with an empty cache of graphs, then `--repeats` times with what that left there. Seconds by the
clock, and of CPU time of the server and its worker; medians of the repeats. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from nestling.loadtest.server_process import ServerProcess, serve_command

RUNNERS = ("torch", "onnx", "onnx-int8", "auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    start("torch", Path(tempfile.gettempdir()))  # so that all find the files in the page cache
    runners = {}
    for runner in RUNNERS:
        with tempfile.TemporaryDirectory() as cache:
            first = start(runner, Path(cache))
            rest = [start(runner, Path(cache)) for _ in range(given.repeats)]
            size = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
        runners[runner] = {
            "first": dict(zip(("seconds", "cpu_seconds"), first, strict=True)),
            "later": {
                name: statistics.median(values)
                for name, values in zip(
                    ("seconds", "cpu_seconds"), zip(*rest, strict=True), strict=True
                )
            },
            "cache_mib": round(size / 2**20),
        }
    print(
        json.dumps(
            {
                "benchmark": "start",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "load_average": round(os.getloadavg()[1], 1),
                "versions": {name: version(name) for name in ("nestling", "torch", "onnxruntime")},
                "repeats": given.repeats,
                "runners": runners,
            }
        )
    )


def start(runner: str, cache: Path) -> tuple[float, float]:
    """Seconds until the server announces itself, and CPU seconds until it has ended."""
    before, started = _cpu(), time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    with ServerProcess(serve_command("--runner", runner), subprocess.DEVNULL, environment):
        seconds = time.perf_counter() - started
    return round(seconds, 1), round(_cpu() - before, 1)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
