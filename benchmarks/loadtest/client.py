"""What the load test's own client costs, and by how much its latencies are too long.

    python -m benchmarks.loadtest.client [--seconds 4] [--repeats 5]

The server is a process that gives every request the same answer at once, so that whatever is
measured is the client's and the machine's. Single requests come by Poisson's law at each of RATES
from one process: by the product's client, whose loop waits in `select`; by one on asyncio's own
event loop, with timers as precise; and by the same on uvloop, whose timers count milliseconds. The
two on asyncio know no faults and no timeouts, so that they do less. All take turns, and medians
over the repeats stand, with the least and the greatest CPU time. Prints one JSON line; times in
microseconds, CPU times per request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version

import httptools
import numpy as np
import uvloop

from benchmarks.server.serving import machine
from nestling.loadtest.client.plan import make_plan
from nestling.loadtest.client.protocols import PROTOCOLS
from nestling.loadtest.client.target import Target, find
from nestling.loadtest.client.worker import OPENED, WorkerLoad, WorkerTask
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .asyncio_client import AsyncioLoad, precise_loop

RATES = (100.0, 1000.0, 4000.0)
LOOPS = ("product", "asyncio", "uvloop")
TEXT, PROTOCOL = "what is the weather like", PROTOCOLS["native"]
DECISION = {"student": "tiny", "relative_cost": 0.1, "device_seconds": 1e-3, "brownout": 0}
BODY = json.dumps([{"label": "weather", "decision": DECISION}]).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class FixedAnswer(asyncio.Protocol):
    """A server's side of a connection, which asks nothing of a request but that it ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)  # type: ignore[attr-defined]  # a Transport


def serve(listener: socket.socket) -> None:
    """Until the process is ended."""

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(FixedAnswer, sock=listener)
        await server.serve_forever()

    uvloop.run(forever())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        target = find(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = context.Process(target=serve, args=(listener,), daemon=True)
        server.start()
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        f"{rate:g} per second": {loop: [] for loop in LOOPS} for rate in RATES
    }
    for repeat in range(given.repeats):
        for rate in RATES:
            for loop in LOOPS:
                with context.Pool(1) as alone:
                    figures = alone.apply(measured, (loop, target, rate, given.seconds, repeat))
                found[f"{rate:g} per second"][loop].append(figures)
                print(rate, loop, figures, file=sys.stderr)
    server.terminate()
    print(
        json.dumps(
            {
                "benchmark": "client",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "uvloop": version("uvloop"),
                "command": "python -m benchmarks.loadtest.client",
                "seconds": given.seconds,
                "repeats": given.repeats,
                "loads": {
                    load: {loop: medians(runs) for loop, runs in loops.items()}
                    for load, loops in found.items()
                },
            }
        )
    )


def measured(loop: str, target: Target, rate: float, seconds: float, seed: int) -> dict[str, float]:
    """One client, in a process of its own."""
    rng = np.random.default_rng(seed)
    due = arrivals(steps([rate], seconds), Spacing.POISSON, rng)
    if loop == "product":
        plan = make_plan(due, 1, {"native": 1.0}, {"1": 1.0}, {}, rng)
        task = WorkerTask(target, (PROTOCOL,), "auto", (TEXT,), plan, OPENED, 30.0, 1.0)
        records = WorkerLoad(task).run(time.monotonic())
        latency, lag, cpu = records.requests.latency, records.requests.lag, records.cpu_seconds
    else:
        load = AsyncioLoad(PROTOCOL.request(target, [TEXT], "auto"), due, PROTOCOL)
        factory = precise_loop if loop == "asyncio" else uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(load.run(target, OPENED))
        latency, lag, cpu = load.latency, load.lag, load.cpu_seconds
    p50, p99 = 1e6 * np.quantile(latency, (0.5, 0.99))
    return {
        "cpu_us": 1e6 * cpu / len(due),
        "p50_us": float(p50),
        "p99_us": float(p99),
        "late_p50_us": 1e6 * float(np.quantile(lag, 0.5)),
    }


def medians(runs: list[dict[str, float]]) -> dict[str, object]:
    """Of the repeats."""
    cpu = [run["cpu_us"] for run in runs]
    return {
        **{name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]},
        "cpu_us_from_to": [round(min(cpu), 1), round(max(cpu), 1)],
    }


if __name__ == "__main__":
    main()
