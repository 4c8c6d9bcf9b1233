"""How long the tests take, from nothing: each step of `.ci/run`, one after the other.

    python -m benchmarks.tests [--out docs/benchmarks/tests.json]

Runs in the source tree, and makes its virtual environment anew. Prints one JSON line, or what a
step printed that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = ("clean", "lint", "test", "test-slow")
COUNTED = re.compile(r"(\d+) passed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where the JSON goes too")
    given = parser.parse_args()
    steps = {}
    for step in STEPS:
        print(f"make {step}", file=sys.stderr, flush=True)
        steps[step] = make(step)
    result = {
        "benchmark": "tests",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m benchmarks.tests",
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "minutes": round(sum(step["minutes"] for step in steps.values()), 1),
        "steps": steps,
    }
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))


def make(step: str) -> dict[str, float | int]:
    """Minutes, and how many tests passed, where it runs any. Ends the program where one fails."""
    started = time.monotonic()
    done = subprocess.run(["make", step], cwd=ROOT, capture_output=True, text=True, check=False)
    minutes = round((time.monotonic() - started) / 60, 2)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}\nmake {step} failed")
    counted = COUNTED.search(done.stdout)
    return {"minutes": minutes} | ({"passed": int(counted[1])} if counted else {})


def processor() -> str:
    """Its name, as Linux has it."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


if __name__ == "__main__":
    main()
