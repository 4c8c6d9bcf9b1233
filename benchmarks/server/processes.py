"""Whole processes, one per core, beside one server with its worker; and what the end of one costs.

    python -m benchmarks.server.processes --data test.jsonl [--repeats 3]

`nestling serve --processes 1` and `--processes auto` take turns, `--repeats` times, with graphs
made beforehand. Of each: seconds until it announces itself; requests per second, and CPU time of
all its processes per request, of 64 clients that ask for single texts one after the other; the
median latency of texts that come 20 times a second; CPU time per request of clients that open a
connection for each; and the proportional set size of all processes at the end.
Then one of many processes is
killed under load, and the requests that fail are counted: on its connections, and on all others.
Prints one JSON line; medians of the repeats.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import psutil

from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.texts import Texts, read_texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .closed import closed_loop
from .serving import BenchmarkServer, asked, machine, nestling

SHIPPED = str(Path(str(files("nestling.models"))) / "zoo" / "clinc150")
WAYS = ("1", "auto")
CLIENTS = 64
RATE = 20.0
OPENED = 500
"""Connections that are opened for one request each."""
KILLED_AFTER, WATCHED = 1.0, 6.0
"""Seconds of the run in which a process is killed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runner", default="onnx-int8")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    texts = read_texts(given.data)
    with served(WAYS[0], given.runner):
        pass  # the graphs are there now
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in range(given.repeats):
        for way in WAYS:
            runs[way].append(measured(way, given.runner, texts, given.seconds, seed))
    with served("2", given.runner) as server:
        crash = killed(server, texts)
    print(
        json.dumps(
            {
                "benchmark": "processes",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                **machine(),
                "command": "python -m benchmarks.server.processes --data test.jsonl",
                "runner": given.runner,
                "clients": CLIENTS,
                "seconds": given.seconds,
                "repeats": given.repeats,
                "processes": {
                    way: {
                        name: round(statistics.median(run[name] for run in found), 2)
                        for name in found[0]
                    }
                    for way, found in runs.items()
                },
                "killed": crash,
            }
        )
    )


def served(processes: str, runner: str) -> BenchmarkServer:
    """The shipped checkpoint by so many processes."""
    words = (SHIPPED, "--processes", processes, "--runner", runner, "--target-delay-ms", "0")
    return nestling(*words)


def measured(way: str, runner: str, texts: Texts, seconds: float, seed: int) -> dict[str, float]:
    """One server, by all that is asked of it."""
    started = time.perf_counter()
    with served(way, runner) as server:
        found = {"ready_seconds": time.perf_counter() - started}
        setup = asked(server, texts, processes=1, connections=CLIENTS, seed=seed)
        closed_loop(setup, CLIENTS, 1.0)
        records, spent = costing(server, lambda: closed_loop(setup, CLIENTS, seconds))
        found["requests_per_second"] = len(records) / seconds
        found["cpu_us"] = 1e6 * spent / len(records)
        rng = np.random.default_rng(seed)
        with LoadGenerator(setup) as generator:
            alone, _ = generator.send(arrivals(steps([RATE], seconds), Spacing.POISSON, rng), rng)
        found["alone_p50_ms"] = 1e3 * float(np.median(alone.requests.latency))
        _, spent = costing(server, lambda: opened(server.url, texts))
        found["opened_cpu_us"] = 1e6 * spent / OPENED
        found["pss_mib"] = sum(each.memory_full_info().pss for each in family(server)) / 2**20
    return found


def costing(server: BenchmarkServer, work: Callable[[], Any]) -> tuple[Any, float]:
    """What work returns, and the CPU seconds of all processes of the server meanwhile."""
    before = cpu(server)
    result = work()
    return result, cpu(server) - before


def cpu(server: BenchmarkServer) -> float:
    """Seconds that its processes have used so far, user and system."""
    times = [each.cpu_times() for each in family(server)]
    return float(sum(time.user + time.system for time in times))


def family(server: BenchmarkServer) -> list[psutil.Process]:
    """All processes of the server."""
    return [server.main, *server.main.children(recursive=True)]


def opened(url: str, texts: Texts) -> None:
    """Each request on a connection of its own."""
    for index in range(OPENED):
        httpx.post(
            f"{url}/v1/classify",
            json={"inputs": texts.texts[index % len(texts)]},
            headers={"Connection": "close"},
        ).raise_for_status()


def killed(server: BenchmarkServer, texts: Texts) -> dict[str, float]:
    """Failures of clients that keep their connections, after one of two processes is killed."""
    clients = [_KeptClient(server.url, texts, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(KILLED_AFTER)
    doomed = server.main.children()[0].children()[0]
    ports = {each.raddr.port for each in doomed.net_connections("tcp") if each.raddr}
    doomed.kill()
    time.sleep(WATCHED)
    for client in clients:
        client.stopped = True
    for client in clients:
        client.join()
    on_it = [client for client in clients if client.port in ports]
    others = [client for client in clients if client.port not in ports]
    return {
        "connections": len(on_it),
        "failed": sum(client.failed for client in on_it),
        "connections_of_others": len(others),
        "failed_of_others": sum(client.failed for client in others),
        "answered_of_others": sum(client.answered for client in others),
    }


class _KeptClient(Thread):
    """Asks one text after the other on a connection that it keeps, and opens another when it is
    lost. port: of the first.
    """

    def __init__(self, url: str, texts: Texts, number: int) -> None:
        super().__init__(daemon=True)
        self._client = httpx.Client(base_url=url, timeout=60)
        self._texts, self._number = texts, number
        self.stopped, self.port = False, 0
        self.answered = self.failed = 0

    def run(self) -> None:
        while not self.stopped:
            self._number += 1
            body = {"inputs": self._texts.texts[self._number % len(self._texts)]}
            try:
                with self._client.stream("POST", "/v1/classify", json=body) as response:
                    stream = response.extensions["network_stream"]
                    self.port = self.port or stream.get_extra_info("client_addr")[1]
                    response.read()
                    response.raise_for_status()
                self.answered += 1
            except httpx.HTTPError:
                self.failed += 1


if __name__ == "__main__":
    main()
