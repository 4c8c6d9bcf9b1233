"""Answers written directly on our connection, against the same by plain ASGI.

    python -m benchmarks.server.direct CHECKPOINT --data test.jsonl [--seconds 5] [--repeats 5]

`direct` is the server as it is: a route takes the whole body from the connection, is told there
when the client goes away, and writes its answer in one piece. `asgi` hides that from the same
server, so that each request goes by ASGI's messages. Nobody notices a client that goes away then:
that would cost another task for each request, so the comparison flatters ASGI. 64 clients wait for
each answer; the ways take turns. CPU time is that of the process that answers HTTP. Each figure is
the median over the repeats, each ratio that of one repeat. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from nestling.loadtest.closed import closed_loop
from nestling.loadtest.texts import read_texts

from .serving import BenchmarkServer, asked, cpu_seconds, machine, nestling

CLIENTS = 64
WAYS = ("direct", "asgi")
RUNNERS = {"torch": ("--runner", "torch"), "onnx-int8": ("--runner", "onnx-int8")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--by-asgi", action="store_true", help=argparse.SUPPRESS)
    given, flags = parser.parse_known_args()
    if given.by_asgi:
        serve_by_asgi([given.checkpoint, *flags])
        return
    texts = read_texts(given.data)
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(given.repeats):
        for runner, words in RUNNERS.items():
            for way in WAYS:
                with start(way, given.checkpoint, *words, "--target-delay-ms", "0") as server:
                    setup = asked(server, texts)
                    closed_loop(setup, 16, 1)  # warms up
                    before = cpu_seconds(server.main)
                    records = closed_loop(setup, CLIENTS, given.seconds)
                    spent = cpu_seconds(server.main) - before
                    figures[f"{runner}: per_second"][way].append(len(records) / given.seconds)
                    figures[f"{runner}: cpu_us"][way].append(1e6 * spent / len(records))
    print(
        json.dumps(
            {
                "benchmark": "direct",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.direct models/zoo/clinc150 "
                "--data test.jsonl",
                "seconds": given.seconds,
                "repeats": given.repeats,
                "clients": CLIENTS,
                "figures": {name: compared(ways) for name, ways in figures.items()},
            }
        )
    )


def compared(ways: dict[str, list[float]]) -> dict[str, object]:
    """Medians, and of the ratio of `asgi` to `direct` the median and the range."""
    ratios = [asgi / direct for direct, asgi in zip(*ways.values(), strict=True)]
    return {
        **{way: round(statistics.median(values), 1) for way, values in ways.items()},
        "asgi_over_direct": round(statistics.median(ratios), 3),
        "from_to": [round(min(ratios), 3), round(max(ratios), 3)],
    }


def start(way: str, checkpoint: str, *words: str) -> BenchmarkServer:
    if way == "direct":
        return nestling(checkpoint, *words)
    module = "benchmarks.server.direct"
    return BenchmarkServer(
        [sys.executable, "-m", module, checkpoint, "--by-asgi", "--port", "0", *words]
    )


def serve_by_asgi(words: list[str]) -> None:
    """`nestling serve` without the direct way."""
    from starlette.types import Receive, Scope, Send

    from nestling.cli import main as nestling_main
    from nestling.server.http.dispatcher import RequestDispatcher
    from nestling.server.http.wire import WIRE

    original = RequestDispatcher.__call__

    async def plain(front: RequestDispatcher, scope: Scope, receive: Receive, send: Send) -> None:
        scope.pop(WIRE, None)
        await original(front, scope, receive, send)

    RequestDispatcher.__call__ = plain  # type: ignore[method-assign]
    sys.argv = ["nestling", "serve", *words]
    nestling_main()


if __name__ == "__main__":
    main()
