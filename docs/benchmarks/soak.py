"""A quarter of an hour of mixed traffic: is anything lost, does memory grow?

    python docs/benchmarks/soak.py CHECKPOINT --data test.jsonl [--minutes 15] [--rate 60]

Texts come at random moments (open loop): singly, in lists, as embeddings, with contracts,
malformed, and from clients that hang up at once. Resident memory of server and worker is read every
five seconds; its slope is that of a line through all readings after the first fifth, in MiB per
hour. Every request must end with the status that it deserves, or be turned away under load (429).
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from load import Server, machine, nestling

EVERY = 5.0
KINDS = {"single": 60, "list": 10, "contract": 10, "embeddings": 5, "malformed": 10, "gone": 5}
"""How often each kind of request comes, in percent."""
MALFORMED = (b"{", b"[]", {"inputs": ""}, {"inputs": 3}, {"inputs": "x", "surprise": 1}, b"\xff")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rate", type=float, default=60)
    given = parser.parse_args()
    lines = given.data.read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    with nestling(given.checkpoint, "--shadow", "0.02") as server:
        result = asyncio.run(soak(server, texts, given.minutes * 60, given.rate))
    print(
        json.dumps(
            {
                "benchmark": "soak",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python docs/benchmarks/soak.py models/zoo/clinc150 --data test.jsonl",
                "minutes": given.minutes,
                "rate_per_second": given.rate,
                **result,
            }
        )
    )


async def soak(server: Server, texts: list[str], seconds: float, rate: float) -> dict[str, Any]:
    """Every request's end, and the memory meanwhile."""
    rng = random.Random(0)
    ended: Counter[str] = Counter()
    tasks: set[asyncio.Task[None]] = set()
    readings: list[tuple[float, float, float]] = []
    start = due = time.perf_counter()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as http:
        watching = asyncio.create_task(watch(server, start, readings))
        while due < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(ask(http, server.port, rng, texts, ended))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += rng.expovariate(rate)
        await asyncio.gather(*tasks)
        watching.cancel()
        metrics = (await http.get("/metrics")).text
    settled = [reading for reading in readings if reading[0] > seconds / 5]
    return {
        "requests": sum(ended.values()),
        "ended": dict(sorted(ended.items())),
        "unexpected": sum(count for end, count in ended.items() if end.endswith("!")),
        "server_5xx": summed(metrics, 'nestling_requests_total{code="5'),
        "restarts": summed(metrics, "nestling_runner_restarts_total"),
        "still_queued": summed(metrics, "nestling_queue_requests"),
        "memory": {
            name: {
                "first_mib": round(settled[0][column]),
                "last_mib": round(settled[-1][column]),
                "slope_mib_per_hour": round(slope(settled, column), 2),
                "by_minute": [round(reading[column]) for reading in readings[:: int(60 / EVERY)]],
            }
            for column, name in ((1, "server"), (2, "worker"))
        },
    }


async def ask(
    http: httpx.AsyncClient, port: int, rng: random.Random, texts: list[str], ended: Counter[str]
) -> None:
    """One request of a random kind. An end that it does not deserve is marked by `!`."""
    [kind] = rng.choices(list(KINDS), list(KINDS.values()))
    text, many = rng.choice(texts), rng.sample(texts, rng.randint(2, 40))
    path, expected = "/v1/classify", (200,)
    body: object = {"inputs": text}
    if kind == "list":
        body = {"inputs": many}
    elif kind == "contract":
        body, expected = {"inputs": text, "deadline_ms": 50, "max_cost": 1.2}, (200, 422, 504)
    elif kind == "embeddings":
        path, body = "/v1/embeddings", {"input": many, "model": "tiny"}
    elif kind == "malformed":
        body, expected = rng.choice(MALFORMED), (400, 422)
    elif kind == "gone":
        await hang_up(port, {"inputs": many})
        ended["gone"] += 1
        return
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    status = (await http.post(path, content=content)).status_code
    ended[f"{kind} {status}{'' if status in (*expected, 429) else ' !'}"] += 1


async def hang_up(port: int, body: object) -> None:
    """Send a request and go."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    content = json.dumps(body).encode()
    head = f"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    writer.close()


async def watch(server: Server, start: float, readings: list[tuple[float, float, float]]) -> None:
    """Note the resident memory of server and worker, in MiB."""
    main = psutil.Process(server.process.pid)
    while True:
        [worker] = main.children()
        sizes = [process.memory_info().rss / 2**20 for process in (main, worker)]
        readings.append((time.perf_counter() - start, sizes[0], sizes[1]))
        await asyncio.sleep(EVERY)


def slope(readings: list[tuple[float, float, float]], column: int) -> float:
    """Of the least-squares line, per hour."""
    times, sizes = [r[0] for r in readings], [r[column] for r in readings]
    return 3600 * statistics.linear_regression(times, sizes).slope


def summed(metrics: str, series: str) -> float:
    """The sum of all series whose line begins so."""
    lines = [line for line in metrics.splitlines() if line.startswith(series)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


if __name__ == "__main__":
    main()
