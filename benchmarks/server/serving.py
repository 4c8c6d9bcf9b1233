"""What the benchmarks of the server share: a server, and a set-up of the load test that asks it.

Not a benchmark itself.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from nestling.loadtest.client.protocols import PROTOCOLS, Protocol
from nestling.loadtest.client.target import find
from nestling.loadtest.server_process import ServerProcess, serve_command
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import Texts, read_texts

LATE_MS = 60_000.0
"""The clients share the machine with the server, and may be late: the latency has that in it."""


class BenchmarkServer(ServerProcess):
    """Its processes too, to be weighed."""

    @property
    def main(self) -> psutil.Process:
        """The process that answers HTTP."""
        return psutil.Process(self.process.pid)

    @property
    def worker(self) -> psutil.Process:
        """The one that computes."""
        [worker] = self.main.children()
        return worker


def nestling(*words: str, python: str = sys.executable) -> BenchmarkServer:
    """`nestling serve` on a free port, with these words."""
    return BenchmarkServer(serve_command(*words, python=python))


def asked(
    server: ServerProcess, texts: Texts, protocols: dict[str, Protocol] = PROTOCOLS, **fields: Any
) -> Setup:
    """Single texts by the native protocol, or as the fields say."""
    given: dict[str, Any] = {"shares": {"native": 1.0}, "max_lag_ms": LATE_MS} | fields
    return Setup(find(server.url), texts, protocols, **given)


def single_texts(path: Path) -> list[str]:
    """Those of a file without pairs. Raises ValueError for one with pairs."""
    found = [text for text in read_texts(path).texts if isinstance(text, str)]
    if not found:
        raise ValueError(f"{path}: has pairs of texts, and this benchmark asks about single ones")
    return found


def compared(ways: dict[str, list[float]], base: str, other: str) -> dict[str, object]:
    """Medians of each way's rounds; of the rounds' ratio of `other` to `base` median and range."""
    ratios = [b / a for a, b in zip(ways[base], ways[other], strict=True)]
    return {
        **{way: round(statistics.median(values), 2) for way, values in ways.items()},
        f"{other}_over_{base}": round(statistics.median(ratios), 3),
        "from_to": [round(min(ratios), 3), round(max(ratios), 3)],
    }


def cpu_seconds(*processes: psutil.Process) -> float:
    """That these have used so far, user and system."""
    times = [process.cpu_times() for process in processes]
    return float(sum(time.user + time.system for time in times))


def machine() -> dict[str, object]:
    """What every benchmark says of where it ran."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in ("nestling", "torch")},
    }
