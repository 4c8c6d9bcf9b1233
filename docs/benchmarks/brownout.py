"""Three times as much load as it can take: with brownout, and without.

    python docs/benchmarks/brownout.py CHECKPOINT --data test.jsonl [--seconds 60]

Starts the real server on one core, finds what it can take by clients that never pause, then sends
texts at three times that rate, at random intervals, whether or not answers come (open loop), from
processes of its own. Latency counts from the moment at which a text was to be sent. Goodput: texts
answered within twice the target. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

Answer = tuple[float, int, str | None, int]
"""Seconds from the intended moment, status, label, brownout level."""
CONNECTIONS = 256
CLIENTS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--target-ms", type=float, default=100)
    parser.add_argument("--overload", type=float, default=3)
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.data.read_text("utf-8").splitlines()]
    data = [(row["text"], row["label"]) for row in rows]
    with Server(given.checkpoint, 0) as server:
        capacity = asyncio.run(closed_loop(server.port, data, given.seconds / 6))
    runs = {}
    for name, target in (("brownout", given.target_ms), ("without", 0)):
        with Server(given.checkpoint, target) as server:
            rate = given.overload * capacity / CLIENTS
            jobs = [(server.port, data, rate, given.seconds, seed) for seed in range(CLIENTS)]
            with ProcessPoolExecutor(CLIENTS) as pool:
                parts = list(pool.map(open_loop, jobs))
        runs[name] = summary(parts, data, given)
    ratio = runs["brownout"]["goodput_per_second"] / max(
        1e-9, runs["without"]["goodput_per_second"]
    )
    print(
        json.dumps(
            {
                "benchmark": "brownout",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "torch")},
                "capacity_per_second": round(capacity, 1),
                "offered_per_second": round(given.overload * capacity, 1),
                "seconds": given.seconds,
                "target_ms": given.target_ms,
                "runs": runs,
                "goodput_ratio": round(ratio, 2),
            }
        )
    )


class Server:
    """`nestling serve` on a free port, one thread per operation."""

    def __init__(self, checkpoint: str, target_ms: float) -> None:
        command = [
            sys.executable, "-m", "nestling.server.cli", "serve", checkpoint, "--port", "0",
            "--threads", "1", "--target-delay-ms", str(target_ms),
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        found = re.search(r":(\d+)\. Try", self._process.stdout.readline())
        assert found
        self.port = int(found[1])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()


class Connection:
    """HTTP/1.1, kept alive, as little work as can be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def classify(self, text: str) -> tuple[int, str | None, int]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = json.dumps({"inputs": text}).encode()
        writer.write(
            b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = re.search(rb"content-length: (\d+)", head.lower())
        assert length
        content = await reader.readexactly(int(length[1]))
        if status != 200:
            return status, None, 0
        answer = json.loads(content)
        return status, answer["label"], answer["decision"]["brownout"]


async def closed_loop(port: int, data: list[tuple[str, str]], seconds: float) -> float:
    """Answers per second to 64 clients, each of which sends its next text at once."""
    until = time.perf_counter() + seconds
    count = 0

    async def client(seed: int) -> None:
        nonlocal count
        rng, connection = random.Random(seed), Connection(port)
        while time.perf_counter() < until:
            await connection.classify(rng.choice(data)[0])
            count += 1

    await asyncio.gather(*(client(seed) for seed in range(64)))
    return count / seconds


def open_loop(job: tuple[int, list[tuple[str, str]], float, float, int]) -> dict[str, Any]:
    """One client process: answers, and how late it sent at worst."""
    return asyncio.run(_open_loop(*job))


async def _open_loop(
    port: int, data: list[tuple[str, str]], rate: float, seconds: float, seed: int
) -> dict[str, Any]:
    rng = random.Random(seed)
    free = [Connection(port) for _ in range(CONNECTIONS)]
    answers: list[tuple[int, Answer]] = []
    lag = 0.0
    unsent = 0
    tasks: set[asyncio.Task[None]] = set()
    start = time.perf_counter() + 0.2
    due = start

    async def ask(connection: Connection, index: int, due: float) -> None:
        status, label, level = await connection.classify(data[index][0])
        answers.append((index, (time.perf_counter() - due, status, label, level)))
        free.append(connection)

    while due < start + seconds:
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        lag = max(lag, time.perf_counter() - due)
        if free:
            task = asyncio.create_task(ask(free.pop(), rng.randrange(len(data)), due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            unsent += 1  # as a client does that has no connection left
        due += rng.expovariate(rate)
    await asyncio.gather(*tasks)
    return {"answers": answers, "lag": lag, "unsent": unsent}


def summary(
    parts: list[dict[str, Any]], data: list[tuple[str, str]], given: argparse.Namespace
) -> dict[str, Any]:
    """What came of a run."""
    answers = [answer for part in parts for answer in part["answers"]]
    accepted = [(index, a) for index, a in answers if a[1] == 200]
    latencies = sorted(a[0] for _, a in accepted)
    within = sum(seconds <= 2 * given.target_ms / 1e3 for seconds in latencies)
    right = sum(a[2] == data[index][1] for index, a in accepted)
    return {
        "statuses": dict(Counter(str(a[1]) for _, a in answers)),
        "unsent": sum(part["unsent"] for part in parts),
        "client_lag_ms": round(1e3 * max(part["lag"] for part in parts), 1),
        "accepted_per_second": round(len(accepted) / given.seconds, 1),
        "goodput_per_second": round(within / given.seconds, 1),
        "latency_ms": {
            f"p{q}": round(1e3 * latencies[min(len(latencies) - 1, len(latencies) * q // 100)], 1)
            for q in (50, 95, 99)
        },
        "accuracy": round(right / len(accepted), 4),
        "levels": dict(Counter(str(a[3]) for _, a in accepted)),
    }


if __name__ == "__main__":
    main()
