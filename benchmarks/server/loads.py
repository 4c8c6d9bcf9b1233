"""MLPerf's scenarios, and arrivals as they were recorded elsewhere, against one server.

    python -m benchmarks.server.loads --data test.jsonl [--trace FILE=RATE,SPEED …]

`nestling serve` with the shipped checkpoint and defaults but for the runner; `nestling loadtest`
sends. SingleStream, Offline and Server run by MLPerf's own load generator, whose verdict stands;
Server at `--rate`, of which 99 % are to be answered within `--objective-ms`. Each `--trace` is
replayed from its beginning, at a mean of RATE requests per second, SPEED seconds of it in one.
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from .serving import machine, nestling

SHIPPED = str(files("nestling.models") / "zoo" / "clinc150")
RUN = (
    "offered_per_second",
    "throughput_per_second",
    "goodput_per_second",
    "latency_ms",
    "accuracy",
    "agreement",
    "outcomes",
    "students",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trace", action="append", default=[], metavar="FILE=RATE,SPEED")
    parser.add_argument("--runner", default="onnx-int8")
    parser.add_argument("--rate", default="1000")
    parser.add_argument("--offline", default="6000", help="texts per second at most")
    parser.add_argument("--objective-ms", default="100")
    parser.add_argument("--seconds", default="60")
    given = parser.parse_args()
    with nestling(SHIPPED, "--runner", given.runner) as server:

        def loadtest(command: str, *flags: str) -> dict[str, Any]:
            common = ["--data", str(given.data), "--seconds", given.seconds]
            common += ["--objective-ms", given.objective_ms]
            with tempfile.TemporaryDirectory() as out:
                subprocess.run(
                    [
                        *(sys.executable, "-m", "nestling.cli", "loadtest", command),
                        *(server.url, *common, "--out", out, *flags),
                    ],
                    check=True,
                    stdout=sys.stderr,
                )
                report: dict[str, Any] = json.loads((Path(out) / "report.json").read_bytes())
            return report

        rates = {"single-stream": given.rate, "offline": given.offline, "server": given.rate}
        mlperf = {
            name: loadtest("mlperf", "--scenario", name, "--rate", rate)
            for name, rate in rates.items()
        }
        traces = {}
        for entry in given.trace:
            file, _, told = entry.rpartition("=")
            rate, speed = told.split(",")
            report = loadtest("run", "--trace", file, "--rate", rate, "--trace-speed", speed)
            traces[f"{Path(file).name} at {rate}/s, {speed} times as fast"] = report
    print(
        json.dumps(
            {
                "benchmark": "loads",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.loads --data test.jsonl --trace …",
                "runner": given.runner,
                "rate": float(given.rate),
                "objective_ms": float(given.objective_ms),
                "seconds": float(given.seconds),
                "mlperf": {name: shown(report) for name, report in mlperf.items()},
                "traces": {name: shown(report) for name, report in traces.items()},
            }
        )
    )


def shown(report: dict[str, Any]) -> dict[str, Any]:
    """What a reader wants of a report."""
    run = report["runs"][0]
    found = {name: run[name] for name in RUN if name in run}
    if "mlperf" in report:
        found |= {
            name: report["mlperf"][name] for name in ("verdict", "failed_requests", "results")
        }
    return found


if __name__ == "__main__":
    main()
