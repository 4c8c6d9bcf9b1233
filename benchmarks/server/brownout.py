"""Three times as much load as it can take: with brownout, and without.

    python -m benchmarks.server.brownout CHECKPOINT --data test.jsonl [--seconds 60]

Starts the real server on one core, finds what it can take by clients that never pause, then sends
texts at three times that rate, at random intervals, whether or not answers come (open loop), from
processes of its own. Latency counts from the moment at which a text was to be sent; who has waited
for five seconds gives up. Goodput: texts answered within twice the target. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nestling.loadtest.client.records import Records
from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.results.latency import quantiles_ms
from nestling.loadtest.results.summary import Truth, summarize
from nestling.loadtest.texts import Texts, read_texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .closed import closed_loop
from .serving import BenchmarkServer, asked, machine, nestling

CLIENTS = 64
PATIENCE = 5.0
QUANTILES = ("p50", "p95", "p99")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--target-ms", type=float, default=100)
    parser.add_argument("--overload", type=float, default=3)
    given = parser.parse_args()
    texts = read_texts(given.data)

    def start(target_ms: float) -> BenchmarkServer:
        return nestling(given.checkpoint, "--threads", "1", "--target-delay-ms", str(target_ms))

    with start(0) as server:
        seconds = given.seconds / 6
        capacity = len(closed_loop(asked(server, texts), CLIENTS, seconds)) / seconds
    rate, runs = given.overload * capacity, {}
    for name, target_ms in (("brownout", given.target_ms), ("without", 0)):
        with start(target_ms) as server:
            records = overload(server, texts, rate, given.seconds)
        runs[name] = summary(records, texts, given.seconds, 2 * given.target_ms)
    least = max(1e-9, runs["without"]["goodput_per_second"])
    print(
        json.dumps(
            {
                "benchmark": "brownout",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.brownout models/zoo/clinc150 "
                "--data test.jsonl",
                "capacity_per_second": round(capacity, 1),
                "offered_per_second": round(rate, 1),
                "seconds": given.seconds,
                "target_ms": given.target_ms,
                "runs": runs,
                "goodput_ratio": round(runs["brownout"]["goodput_per_second"] / least, 2),
            }
        )
    )


def overload(server: BenchmarkServer, texts: Texts, rate: float, seconds: float) -> Records:
    """What came of texts that arrive as Poisson's do."""
    rng = np.random.default_rng(0)
    due = arrivals(steps([rate], seconds), Spacing.POISSON, rng)
    with LoadGenerator(asked(server, texts, timeout=PATIENCE)) as generator:
        return generator.send(due, rng)[0]


def summary(records: Records, texts: Texts, seconds: float, objective_ms: float) -> dict[str, Any]:
    """What came of a run."""
    found = summarize(
        records, seconds, objective_ms, Truth(np.array(texts.labels, object)), price_per_hour=0
    )
    requests = records.requests
    levels, counts = np.unique(requests.brownout[requests.status == 200], return_counts=True)
    return {
        "statuses": found["outcomes"],
        "client_lag_ms": round(found["client"]["lag_ms"]["max"], 1),
        "accepted_per_second": round(found["throughput_per_second"], 1),
        "goodput_per_second": round(found["goodput_per_second"], 1),
        "latency_ms": rounded(found["latency_ms"]),
        "refused_latency_ms": rounded(quantiles_ms(requests.latency[requests.status == 429])),
        "accuracy": round(found["accuracy"], 4),
        "levels": dict(zip(map(str, levels.tolist()), counts.tolist(), strict=True)),
    }


def rounded(latency_ms: dict[str, float]) -> dict[str, float]:
    """Those quantiles for which there are enough requests."""
    return {name: round(latency_ms[name], 2) for name in QUANTILES if name in latency_ms}


if __name__ == "__main__":
    main()
