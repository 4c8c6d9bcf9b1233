"""Where the CPU time of a request goes that the model does not take.

    python -m benchmarks.server.overhead --data test.jsonl [--checkpoint DIR] [--runner torch]

The real server answers single texts by its default cascade: at a steady rate (open loop), then for
64 clients that never pause, which is as much as it takes. What its two processes use is the
operating system's count. Then the same load comes again, and a sampling profiler (py-spy, which
must be allowed to look into other processes) notes 500 times a second what code is running. A
part's share of a process's samples is its share of the CPU time, so the parts sum up to the whole;
a sample is the part's whose code is innermost, and what is in no part's code is `rest`. Prints one
JSON line; microseconds of CPU time per request. `device_us`, for comparison with `model_us`, is
what the server itself counts by the clock. `starved` is the share of the samples in which a process
could have run, and had no core: with much of it, the waits after each wake-up make the border and
the event loop look expensive, and only the totals hold.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from nestling.loadtest.client.records import Records
from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import read_texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .closed import closed_loop
from .serving import BenchmarkServer, asked, cpu_seconds, machine, nestling

SHIPPED = Path(str(files("nestling.models"))) / "zoo" / "clinc150"
CLIENTS = 64
TARGET_US = 200
SAMPLES_PER_SECOND = 500
WARM_UP = 3.0
DEVICE_SECONDS = "nestling_device_seconds_total{"
MODEL = "model"
PARTS = {
    "batch and decisions": r"models/(nested/batch|runners/scheduled)\.py"
    r"|kernels/(layout|gate/host)\.py|(forward|_pad) \(.*runners/onnx/runner",
    MODEL: r"models/(nested|runners)/|kernels/",
    "event loop and sockets": r"uvicorn/(server|main)\.py|server/supervisor/|asyncio/",
    "http": r"server/http/connection/|uvicorn/",
    "dispatcher, keys, ids": r"server/http/(dispatcher|auth|keys)\.py|telemetry/requests\.py",
    "answer to json and headers": r"(classifications|_path_steps|\w*headers\w*) \(",
    "body and checks": r"server/http/|starlette/|pydantic",
    "tokens": r"models/inputs/tokenizer\.py",
    "metrics": r"telemetry/metrics\.py|prometheus_client/",
    "border between the processes": r"engine/worker/",
    "inference, queue, delivery": r"server/|models/|experiments/",
}
"""How frames of a part's code look, as `function (file:line)`; the first that fits counts."""


@dataclass(frozen=True)
class Profile:
    """Samples by process id and part."""

    samples: dict[int, Counter[str]]

    def shares(self, pid: int) -> dict[str, float]:
        """Of the samples of a process, by part."""
        counted = self.samples[pid]
        return {part: count / counted.total() for part, count in counted.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--runner", default="torch")
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    texts = read_texts(given.data)
    flags = ("--runner", given.runner, "--threads", "1", "--target-delay-ms", "0")
    with nestling(str(given.checkpoint), "--processes", "1", *flags) as server:
        setup = asked(server, texts)
        loads: dict[str, Callable[[float], Records]] = {
            "steady": lambda seconds: steady(setup, given.rate, seconds),
            "saturated": lambda seconds: closed_loop(setup, CLIENTS, seconds),
        }
        found = {name: measured(server, load, given.seconds) for name, load in loads.items()}
    print(
        json.dumps(
            {
                "benchmark": "overhead",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "profiler": f"py-spy {version('py-spy')}",
                "command": "python -m benchmarks.server.overhead --data test.jsonl",
                "runner": given.runner,
                "rate_per_second": given.rate,
                "clients": CLIENTS,
                "seconds": given.seconds,
                "target_us": TARGET_US,
                "loads": found,
            }
        )
    )


def steady(setup: Setup, rate: float, seconds: float) -> Records:
    """What came of texts that arrive as Poisson's do."""
    rng = np.random.default_rng(0)
    with LoadGenerator(setup) as generator:
        return generator.send(arrivals(steps([rate], seconds), Spacing.POISSON, rng), rng)[0]


def measured(
    server: BenchmarkServer, load: Callable[[float], Records], seconds: float
) -> dict[str, Any]:
    """The time of both processes, then how it is shared."""
    load(WARM_UP)
    processes = {"server": server.main, "worker": server.worker}
    before = {name: cpu_seconds(process) for name, process in processes.items()}
    device = device_seconds(server)
    records = load(seconds)
    device = device_seconds(server) - device
    spent = {
        name: 1e6 * (cpu_seconds(process) - before[name]) / len(records)
        for name, process in processes.items()
    }
    before = {name: cpu_seconds(process) for name, process in processes.items()}
    seen = profile(server, lambda: load(seconds))
    parts: dict[str, float] = defaultdict(float)
    starved = {}
    for name, process in processes.items():
        running = SAMPLES_PER_SECOND * (cpu_seconds(process) - before[name])
        starved[name] = round(max(0.0, 1 - running / seen.samples[process.pid].total()), 2)
        for part, share in seen.shares(process.pid).items():
            parts[part] += share * spent[name]
    model = parts.pop(MODEL)
    return {
        "answered_per_second": round(len(records) / records.window, 1),
        "server_us": round(spent["server"]),
        "worker_us": round(spent["worker"]),
        "model_us": round(model),
        "device_us": round(1e6 * device / len(records)),
        "outside_model_us": round(sum(parts.values())),
        "parts_us": {
            part: round(us, 1)
            for part, us in sorted(parts.items(), key=lambda each: each[1], reverse=True)
        },
        "samples": {name: seen.samples[p.pid].total() for name, p in processes.items()},
        "starved": starved,
    }


def device_seconds(server: BenchmarkServer) -> float:
    """That all batches so far have run, by the clock of the process that computes."""
    with urlopen(f"{server.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(x.rpartition(" ")[2]) for x in lines if x.startswith(DEVICE_SECONDS))


def profile(server: BenchmarkServer, run: Callable[[], object]) -> Profile:
    """Which parts' code runs meanwhile. Raises RuntimeError if the profiler may not look."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        command = [
            str(Path(sys.executable).with_name("py-spy")),
            *("record", "--subprocesses", "--threads", "--full-filenames", "--nonblocking"),
            *("--format", "raw", "--rate", str(SAMPLES_PER_SECOND), "--duration", "86400"),
            *("--pid", str(server.main.pid), "--output", str(file)),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as spy:
            run()
            spy.send_signal(signal.SIGINT)  # at which it writes
            said = spy.communicate()[0].decode()
        if not file.exists():
            raise RuntimeError(f"py-spy: {said.strip()}")
        return read_profile(file.read_text("utf-8"))


def read_profile(stacks: str) -> Profile:
    """From lines of frames, the outermost first, with semicolons between, and a count."""
    samples: dict[int, Counter[str]] = {}
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        pids = [int(pid) for pid in re.findall(r"(?:^|;)process (\d+)", frames)]
        samples.setdefault(pids[-1], Counter())[part_of(frames.split(";"))] += int(count)
    return Profile(samples)


def part_of(frames: list[str]) -> str:
    """Whose code is innermost."""
    for frame in reversed(frames):
        for part, pattern in PARTS.items():
            if re.search(pattern, frame):
                return part
    return "rest"


if __name__ == "__main__":
    main()
