"""Three times as much load as it can take: with brownout, and without.

    python docs/benchmarks/brownout.py CHECKPOINT --data test.jsonl [--seconds 60]

Starts the real server on one core, finds what it can take by clients that never pause, then sends
texts at three times that rate, at random intervals, whether or not answers come (open loop), from
processes of its own. Latency counts from the moment at which a text was to be sent. Goodput: texts
answered within twice the target. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from load import Answer, Sent, closed_loop, machine, nestling, open_loop, quantiles_ms, read_texts

CLIENTS = 64
PROCESSES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--target-ms", type=float, default=100)
    parser.add_argument("--overload", type=float, default=3)
    given = parser.parse_args()
    texts = read_texts(given.data)

    def start(target_ms: float) -> Any:
        return nestling(given.checkpoint, "--threads", "1", "--target-delay-ms", str(target_ms))

    with start(0) as server:
        capacity = len(closed_loop(server.port, texts, CLIENTS, given.seconds / 6))
        capacity /= given.seconds / 6
    runs = {}
    for name, target_ms in (("brownout", given.target_ms), ("without", 0)):
        with start(target_ms) as server:
            sent = open_loop(
                server.port, texts, given.overload * capacity, given.seconds, PROCESSES
            )
        runs[name] = summary(sent, given)
    least = max(1e-9, runs["without"]["goodput_per_second"])
    print(
        json.dumps(
            {
                "benchmark": "brownout",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "capacity_per_second": round(capacity, 1),
                "offered_per_second": round(given.overload * capacity, 1),
                "seconds": given.seconds,
                "target_ms": given.target_ms,
                "runs": runs,
                "goodput_ratio": round(runs["brownout"]["goodput_per_second"] / least, 2),
            }
        )
    )


def summary(sent: list[Sent], given: argparse.Namespace) -> dict[str, Any]:
    """What came of a run."""
    answers = [answer for part in sent for answer in part.answers]
    accepted: list[Answer] = [answer for answer in answers if answer.status == 200]
    within = sum(answer.seconds <= 2 * given.target_ms / 1e3 for answer in accepted)
    return {
        "statuses": dict(Counter(str(answer.status) for answer in answers)),
        "unsent": sum(part.unsent for part in sent),
        "client_lag_ms": round(1e3 * max(part.lag for part in sent), 1),
        "accepted_per_second": round(len(accepted) / given.seconds, 1),
        "goodput_per_second": round(within / given.seconds, 1),
        "latency_ms": quantiles_ms(accepted),
        "refused_latency_ms": quantiles_ms([a for a in answers if a.status == 429] or accepted),
        "accuracy": round(sum(answer.right for answer in accepted) / len(accepted), 4),
        "levels": dict(Counter(str(answer.brownout) for answer in accepted)),
    }


if __name__ == "__main__":
    main()
