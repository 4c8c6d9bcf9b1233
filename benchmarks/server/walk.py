"""How far one request walks through the code: the product's own files that it touches.

Usage: python -m benchmarks.server.walk

Starts a real server of the checkpoint that ships, once per runner, asks it for the class of one
text by the smallest student, and records every call in the product's own files in all of its
processes, from 0.3 s before the request to 0.1 s after its answer: what the server does on its own
in that time is part of it. `moves` counts the calls that went to another file than the call before.
Prints one JSON line, which is docs/benchmarks/walk.json.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from .serving import BenchmarkServer, machine, nestling

CHECKPOINT = str(files("nestling.models") / "zoo" / "clinc150")
WALKING = Path(__file__).with_name("walking")
RUNNERS = ("torch", "onnx-int8")
WARM_UP = 5
REPEATS = 5


def main() -> None:
    walks = {runner: [walked(runner) for _ in range(REPEATS)] for runner in RUNNERS}
    found = {runner: summary(each) for runner, each in walks.items()}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    command = "python -m benchmarks.server.walk"
    print(json.dumps({"benchmark": "walk", "date": date, "command": command,
                      **machine(), "runners": found}))  # fmt: skip


def walked(runner: str) -> list[dict[str, Any]]:
    """The records of a server's processes while it answers one request."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, (str(WALKING), os.environ.get("PYTHONPATH"))))
        os.environ |= {"PYTHONPATH": path, "NESTLING_WALK": folder}
        with nestling(CHECKPOINT, "--runner", runner) as server:
            for number in range(WARM_UP):
                ask(server, number)
            time.sleep(0.5)
            toggle(server)
            time.sleep(0.3)
            ask(server, WARM_UP)
            time.sleep(0.1)
            toggle(server)
            time.sleep(0.7)
        records = [json.loads(file.read_text("utf-8")) for file in Path(folder).glob("*.json")]
    print(f"{runner}: {records}", file=sys.stderr)
    return records


def toggle(server: BenchmarkServer) -> None:
    """Begin the record in all processes, or end it."""
    for process in (server.main, *server.main.children(recursive=True)):
        process.send_signal(signal.SIGUSR2)


def ask(server: BenchmarkServer, number: int) -> None:
    body = {"model": "tiny", "inputs": f"wake me at {number}"}
    httpx.post(f"{server.url}/v1/classify", json=body).raise_for_status()


def summary(walks: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the repeats, with the least and the most."""

    def of(counts: list[int]) -> dict[str, float]:
        return {"median": statistics.median(counts), "least": min(counts), "most": max(counts)}

    own = [{file for record in walk for file in record["files"]} for walk in walks]
    return {
        "files": of([len(each) for each in own]),
        "moves": of([sum(record["moves"] for record in walk) for walk in walks]),
        "names": sorted(set.union(*own)),
    }


if __name__ == "__main__":
    main()
