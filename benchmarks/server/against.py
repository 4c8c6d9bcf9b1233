"""The way around the model, against an earlier version of the code: side by side in one run.

    python -m benchmarks.server.against --data test.jsonl --before OLD/bin/python [--rounds 5]

`--before` is an interpreter that has the earlier version installed. It serves the shipped
checkpoint as that version was fastest, by `--runner onnx-int8`; this one serves it by default. Both
take turns, round by round, with their graphs cached: from the command to the greeting (`ready`),
PSS of all processes after load (`memory`), single texts from 64 connections that never pause
(`full`: requests per second, and the CPU time of all processes of the server per request), one text
each 50 ms (`alone`: the median wait), and lists of 256 texts from two connections: by `tiny`, by
`auto`, and by `auto` with the scores of all labels. Of lists the CPU time of the process that
answers HTTP is counted, per text, by a server of one such process beside its worker, so that the
model is not in it. The client is wrk, on the same cores. Prints one JSON line: medians, and of the
rounds' ratios of now to before median and range.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil

from nestling.loadtest.server_process import ServerProcess, serve_command

from .serving import cpu_seconds, machine, single_texts
from .wrk import send

CONNECTIONS, LISTS, LIST = 64, 2, 256
ALONE_SECONDS = 0.05
WARM_UP = 2
CLASSIFY = "/v1/classify"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", required=True, metavar="PYTHON")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    texts = single_texts(given.data)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        versions = {
            "before": (given.before, ["--runner", "onnx-int8"], []),
            "now": (sys.executable, [], ["--processes", "1"]),
        }
        for python, flags, _ in versions.values():
            with started(python, *flags):
                pass  # the graphs are there now
        for number in range(given.rounds):
            for name, (python, flags, one) in versions.items():
                figures = whole(texts, python, flags, given.seconds)
                figures |= of_lists(texts, python, [*flags, *one], given.seconds)
                for figure, value in figures.items():
                    found[figure][name].append(value)
                print(number, name, json.dumps(figures), file=sys.stderr)
    print(
        json.dumps(
            {
                "benchmark": "against",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.against --data test.jsonl --before …",
                "seconds": given.seconds,
                "rounds": given.rounds,
                "figures": {figure: compared(by) for figure, by in found.items()},
            }
        )
    )


def started(python: str, *flags: str) -> ServerProcess:
    """A server of the shipped checkpoint that does not shorten cascades under load."""
    command = serve_command("--target-delay-ms", "0", *flags, python=python)
    return ServerProcess(command, subprocess.DEVNULL)


def whole(texts: list[str], python: str, flags: list[str], seconds: int) -> dict[str, float]:
    """What one server takes and gives with its own settings."""
    began = time.perf_counter()
    with started(python, *flags) as server:
        ready = time.perf_counter() - began
        bodies = [orjson.dumps({"inputs": text}) for text in texts]
        send(server.url, CLASSIFY, bodies, CONNECTIONS, WARM_UP)
        processes = tree(server)
        before = cpu_seconds(*processes)
        sent = send(server.url, CLASSIFY, bodies, CONNECTIONS, seconds)
        spent = cpu_seconds(*processes) - before
        lists = [orjson.dumps({"inputs": each}) for each in in_lists(texts)]
        send(server.url, CLASSIFY, lists, LISTS, WARM_UP)
        in_bulk = send(server.url, CLASSIFY, lists, LISTS, seconds)
        return {
            "requests_per_second": sent.rate,
            "cpu_us_per_request": 1e6 * spent / sent.requests,
            "texts_per_second_in_lists": LIST * in_bulk.rate,
            "p50_ms_alone": 1e3 * alone(server.url, bodies, seconds),
            "memory_mib": sum(each.memory_full_info().pss for each in processes) / 2**20,
            "ready_seconds": ready,
        }


def of_lists(texts: list[str], python: str, flags: list[str], seconds: int) -> dict[str, float]:
    """CPU time per text of the process that answers HTTP."""
    chunks = in_lists(texts)
    asked = {
        "tiny": (CLASSIFY, [orjson.dumps({"inputs": each, "model": "tiny"}) for each in chunks]),
        "auto": (CLASSIFY, [orjson.dumps({"inputs": each}) for each in chunks]),
        "all_labels": (
            "/predict",
            [orjson.dumps({"inputs": [[text] for text in each]}) for each in chunks],
        ),
    }
    figures = {}
    with started(python, *flags) as server:
        front = psutil.Process(server.process.pid)
        for name, (path, bodies) in asked.items():
            send(server.url, path, bodies, LISTS, WARM_UP)
            before = cpu_seconds(front)
            sent = send(server.url, path, bodies, LISTS, seconds)
            spent = cpu_seconds(front) - before
            figures[f"list_cpu_us_per_text_{name}"] = 1e6 * spent / sent.requests / LIST
    return figures


def alone(url: str, bodies: list[bytes], seconds: int) -> float:
    """The median wait of one client for an answer, at 20 requests per second."""
    host = url.removeprefix("http://")
    connection, waits = http.client.HTTPConnection(host), []
    for body in bodies[: int(seconds / ALONE_SECONDS)]:
        time.sleep(ALONE_SECONDS)
        asked = time.perf_counter()
        connection.request("POST", CLASSIFY, body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        waits.append(time.perf_counter() - asked)
    connection.close()
    return statistics.median(waits)


def in_lists(texts: list[str]) -> list[list[str]]:
    """All texts, LIST at a time; the rest is left out."""
    return [texts[at : at + LIST] for at in range(0, len(texts) - LIST + 1, LIST)]


def tree(server: ServerProcess) -> list[psutil.Process]:
    """All processes of a server."""
    main = psutil.Process(server.process.pid)
    return [main, *main.children(recursive=True)]


def compared(by: dict[str, list[float]]) -> dict[str, Any]:
    """Medians of both versions, and the ratio of now to before."""
    ratios = [now / before for before, now in zip(by["before"], by["now"], strict=True)]
    return {
        **{name: round(statistics.median(values), 3) for name, values in by.items()},
        "now_over_before": round(statistics.median(ratios), 3),
        "from_to": [round(min(ratios), 3), round(max(ratios), 3)],
    }


if __name__ == "__main__":
    main()
