"""A quarter of an hour of mixed traffic: is anything lost, does memory grow?

    python -m benchmarks.server.soak CHECKPOINT --data test.jsonl [--minutes 15] [--rate 40]

Requests come at random moments (open loop): of one text and of many, with contracts, for
embeddings, of a wrong form, and from clients that are slow, send what is no JSON, or hang up at
once. Resident memory of server and worker is read every five seconds; its slope is that of a line
through all readings after the first fifth, in MiB per hour. Every request must end with the status
that it deserves, or be turned away under load (429). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from nestling.loadtest.client.connection import Failure
from nestling.loadtest.client.faults import Fault
from nestling.loadtest.client.protocols import PROTOCOLS, Native, Protocol
from nestling.loadtest.client.records import Records
from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import read_texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .serving import BenchmarkServer, asked, machine, nestling

EVERY = 5.0
BATCHES = {"1": 0.8, "10": 0.1, "40": 0.1}
FAULTS = {Fault.DISCONNECT.value: 0.05, Fault.MALFORMED.value: 0.04, Fault.SLOW.value: 0.01}
TURNED_AWAY = 429


def classify(name: str, **fields: object) -> Protocol:
    """The native protocol with other fields in its body."""
    return Native(name, "/v1/classify", {"inputs": "$texts", "model": "$model", **fields}, "")


KINDS: list[tuple[Protocol, float, set[int]]] = [
    (PROTOCOLS["native"], 0.7, {200}),
    (classify("contract", deadline_ms=50, max_cost=1.2), 0.15, {200, 422, 504}),
    (
        Protocol(
            "embeddings", "/v1/embeddings", {"input": "$texts", "model": "tiny"}, "data.*.object"
        ),
        0.09,
        {200},
    ),
    (classify("empty text", inputs=""), 0.02, {422}),
    (classify("number for a text", inputs=3), 0.02, {422}),
    (classify("unknown field", surprise=1), 0.02, {422}),
]
"""Kinds of request, their shares, and the statuses that they deserve."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rate", type=float, default=40)
    given = parser.parse_args()
    with nestling(given.checkpoint, "--processes", "1", "--shadow", "0.02") as server:
        setup = asked(
            server,
            read_texts(given.data),
            protocols={kind.name: kind for kind, _, _ in KINDS},
            shares={kind.name: share for kind, share, _ in KINDS},
            batches=BATCHES,
            faults=FAULTS,
        )
        result = soak(server, setup, given.minutes * 60, given.rate)
    print(
        json.dumps(
            {
                "benchmark": "soak",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.soak models/zoo/clinc150 --data test.jsonl",
                "minutes": given.minutes,
                "rate_per_second": given.rate,
                **result,
            }
        )
    )


def soak(server: BenchmarkServer, setup: Setup, seconds: float, rate: float) -> dict[str, Any]:
    """Every request's end, and the memory meanwhile."""
    rng = np.random.default_rng(setup.seed)
    due = arrivals(steps([rate], seconds), Spacing.POISSON, rng)
    readings: list[tuple[float, float, float]] = []
    with LoadGenerator(setup) as generator, ThreadPoolExecutor(1) as pool:
        start = time.perf_counter()
        sending = pool.submit(generator.send, due, rng)
        while not sending.done():
            readings.append((time.perf_counter() - start, *memory(server)))
            time.sleep(EVERY)
    ended = ends(sending.result()[0])
    with urlopen(f"{server.url}/metrics") as answer:
        metrics = answer.read().decode()
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


def ends(records: Records) -> Counter[str]:
    """How many requests of each kind ended how; an end that it does not deserve is marked by `!`.

    A client with a fault is a kind of its own. One that hangs up may be answered before.
    """
    faults = list(Fault)
    found: Counter[str] = Counter()
    requests = records.requests
    for protocol, fault, status in zip(
        requests.protocol.tolist(), requests.fault.tolist(), requests.status.tolist(), strict=True
    ):
        kind, _, deserved = KINDS[protocol]
        name = kind.name
        if fault >= 0:
            name = faults[fault].value
            if faults[fault] is Fault.MALFORMED:
                deserved = {400}
            elif faults[fault] is Fault.DISCONNECT:
                deserved = deserved | {Failure.LEFT}
        shown = status if status > 0 else Failure(status).name.lower()
        wrong = status not in deserved and status != TURNED_AWAY
        found[f"{name} {shown}{' !' if wrong else ''}"] += 1
    return found


def memory(server: BenchmarkServer) -> tuple[float, float]:
    """Resident, of server and worker, in MiB."""
    server_size, worker_size = (
        process.memory_info().rss / 2**20 for process in (server.main, server.worker)
    )
    return server_size, worker_size


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
