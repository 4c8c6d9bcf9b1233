"""What one single-text request costs, of CPU time and of waiting, as the code is now.

    python docs/benchmarks/speed.py test.jsonl [--step "what changed"] [--record speed.json]

Serves the shipped checkpoint and sends single texts at three rates: a low one, where the latency
is that of a request alone; a steady one, for the CPU time per request of the server's process, of
the worker's and of the client's; and one far beyond, for what is answered in time when all cores
are full. Each several times, and the median stands. `--record` keeps a list of steps, this one at
its end, so that each change of the code has its numbers beside those before it. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")
RATES = {"alone": 40, "steady": 800, "beyond": 4000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="JSON Lines of text and label")
    parser.add_argument("--runner", default="onnx-int8")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", default="now")
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    command = [sys.executable, "-m", "nestling.server.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--runner", given.runner, "--target-delay-ms", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        if server.stdout is None or not (said := server.stdout.readline()):
            raise RuntimeError("the server did not start")
        url = next(word for word in said.split() if word.startswith("http")).rstrip(".")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in RATES}
        try:
            for _ in range(given.repeats):
                for name, rate in RATES.items():
                    runs[name].append(load(url, rate, given.seconds, given.data, server.pid))
        finally:
            server.terminate()
    step = {
        "benchmark": "speed",
        "step": given.step,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[1], 1),
        "versions": {name: version(name) for name in ("nestling", "torch", "onnxruntime")},
        "runner": given.runner,
        "repeats": given.repeats,
        **{name: {"rate": rate, **_medians(runs[name])} for name, rate in RATES.items()},
    }
    if given.record:
        before = json.loads(given.record.read_text()) if given.record.exists() else []
        given.record.write_text(json.dumps([*before, step], indent=1) + "\n")
    print(json.dumps(step))


def load(url: str, rate: float, seconds: float, data: str, pid: int) -> dict[str, Any]:
    """One run of the load generator, and what the server's processes did meanwhile."""
    processes = {"server": pid, "worker": _child(pid)}
    with tempfile.TemporaryDirectory() as out:
        before = {name: _cpu(of) for name, of in processes.items()}
        command = [sys.executable, "-m", "nestling.server.cli", "loadtest", "run", url]
        subprocess.run(
            [
                *(*command, "--data", data, "--rate", str(rate), "--seconds", str(seconds)),
                *("--warmup", "0", "--reference", "none", "--out", out),
                *("--processes", "1", "--connections", "64", "--max-lag-ms", "1e6"),
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        report: dict[str, Any] = json.loads((Path(out) / "report.json").read_text())["runs"][0]
        spent = {name: _cpu(of) - before[name] for name, of in processes.items()}
    requests = sum(report["outcomes"].values())
    return {
        "p50_ms": report["latency_ms"]["p50"],
        "p99_ms": report["latency_ms"].get("p99"),
        "answers_per_second": report["throughput_per_second"],
        "accuracy": report["accuracy"],
        "client_us": report["client"]["cpu_us_per_request"],
        **{f"{name}_us": 1e6 * seconds / requests for name, seconds in spent.items()},
    }


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: round(statistics.median(run[name] for run in runs), 4 if name == "accuracy" else 2)
        for name in runs[0]
        if all(run[name] is not None for run in runs)
    }


def _cpu(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICK


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


if __name__ == "__main__":
    main()
