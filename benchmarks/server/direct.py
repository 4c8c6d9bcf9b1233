"""What a way beside ASGI would earn: a body taken, and an answer given, in one call each.

    python -m benchmarks.server.direct CHECKPOINT --data test.jsonl [--seconds 3] [--repeats 5]

`asgi` is the server as it is. `direct` is the same server whose routes take a body that has come
from the connection itself, and whose answers are given to it whole; it exists in this file alone.
64 clients wait for each answer; the ways take turns. CPU time is that of the process that answers
HTTP. Each figure is the median over the repeats, each ratio that of one repeat. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from nestling.loadtest.texts import read_texts

from .closed import closed_loop
from .serving import BenchmarkServer, asked, compared, cpu_seconds, machine, nestling

CLIENTS = 64
WAYS = ("direct", "asgi")
RUNNERS = ("torch", "onnx-int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--directly", action="store_true", help=argparse.SUPPRESS)
    given, flags = parser.parse_known_args()
    if given.directly:
        serve_directly([given.checkpoint, *flags])
        return
    texts = read_texts(given.data)
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for repeat in range(given.repeats):
        for runner in RUNNERS:
            for way in WAYS[:: -1 if repeat % 2 else 1]:
                words = ("--runner", runner, "--target-delay-ms", "0")
                with start(way, given.checkpoint, *words) as server:
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
                "figures": {
                    name: compared(ways, "direct", "asgi") for name, ways in figures.items()
                },
            }
        )
    )


def start(way: str, checkpoint: str, *words: str) -> BenchmarkServer:
    if way == "asgi":
        return nestling(checkpoint, *words)
    module = "benchmarks.server.direct"
    return BenchmarkServer(
        [sys.executable, "-m", module, checkpoint, "--directly", "--port", "0", *words]
    )


def serve_directly(words: list[str]) -> None:
    """`nestling serve` with the way beside ASGI."""
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from nestling.cli import main as nestling_main
    from nestling.server.http import body
    from nestling.server.http.connection.cycle import RequestCycle, render_head
    from nestling.server.http.departure import CONNECTION

    by_asgi, read_body = Response.__call__, body.read_body

    async def take(request: Request, limit: int) -> bytes | bytearray:
        cycle = request.scope.get(CONNECTION)
        if not isinstance(cycle, RequestCycle) or cycle.more_body or len(cycle.body) > limit:
            return await read_body(request, limit)
        taken, cycle.body = cycle.body, bytearray()
        return taken

    async def give(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = scope.get(CONNECTION)
        if not isinstance(cycle, RequestCycle) or cycle.gone or scope["method"] == "HEAD":
            await by_asgi(response, scope, receive, send)
            return
        cycle.started = True
        headers = [*cycle._line.server.default_headers, *response.raw_headers]
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        cycle._write_first(render_head(response.status_code, headers) + bytes(response.body))
        cycle._end()

    body.read_body = take
    Response.__call__ = give  # type: ignore[method-assign, assignment]
    sys.argv = ["nestling", "serve", *words]
    nestling_main()


if __name__ == "__main__":
    main()
