"""From the command to the first possible answer, and what that takes in memory, by runner.

    python -m benchmarks.server.start [--repeats 3] [--base PYTHON]

`nestling serve` is started with the shipped checkpoint, weighed as soon as it announces itself, and
stopped: once with an empty cache of graphs, then `--repeats` times with what
that left there, all in turns. Seconds by the clock, CPU seconds of all its processes, and their
proportional set sizes in MiB: pages that several share count in parts. Medians of the repeats.
base: the interpreter of another installation, whose default is measured beside. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from nestling.loadtest.server_process import ServerProcess, serve_command

from .serving import machine

RUNNERS = ("torch", "onnx", "onnx-int8")
MEASURED = ("seconds", "cpu_seconds", "mib")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--base", help="interpreter of the installation to compare with")
    given = parser.parse_args()
    commands = {"default": serve_command()} | {
        runner: serve_command("--runner", runner) for runner in RUNNERS
    }
    if given.base:
        commands["base_default"] = serve_command(python=given.base)
    start(commands["torch"], Path(tempfile.gettempdir()))  # so all find the files in the page cache
    with tempfile.TemporaryDirectory() as folder:
        caches = {name: Path(folder) / name for name in commands}
        first = {name: start(command, caches[name]) for name, command in commands.items()}
        rest: dict[str, list[tuple[float, ...]]] = {name: [] for name in commands}
        for _ in range(given.repeats):
            for name, command in commands.items():
                rest[name].append(start(command, caches[name]))
        medians = {
            name: [statistics.median(each) for each in zip(*repeats, strict=True)]
            for name, repeats in rest.items()
        }
        sizes = {name: size_of(cache) for name, cache in caches.items()}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    runners = {
        name: {
            "first": dict(zip(MEASURED, first[name], strict=True)),
            "later": dict(zip(MEASURED, medians[name], strict=True)),
            "cache_mib": sizes[name],
        }
        for name in commands
    }
    print(json.dumps({"benchmark": "start", "date": date, **machine(),
                      "command": "python -m benchmarks.server.start",
                      "repeats": given.repeats, "runners": runners}))  # fmt: skip


def start(command: list[str], cache: Path) -> tuple[float, ...]:
    """What is `MEASURED`: seconds until the server announces itself, CPU seconds until it has
    ended, and MiB once it answers.
    """
    before, started = _cpu(), time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    with ServerProcess(command, subprocess.DEVNULL, environment) as server:
        seconds = time.perf_counter() - started
        own = psutil.Process(server.process.pid)
        processes = (own, *own.children(recursive=True))
        size = sum(process.memory_full_info().pss for process in processes)
    return round(seconds, 2), round(_cpu() - before, 2), round(size / 2**20, 1)


def size_of(cache: Path) -> int:
    """MiB of all files."""
    return round(sum(f.stat().st_size for f in cache.rglob("*") if f.is_file()) / 2**20)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
