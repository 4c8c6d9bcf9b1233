"""A real server in a process of its own, on a real port."""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from nestling.loadtest.server_process import ServerProcess, serve_command

from ..progress import without_progress

NESTLING = [sys.executable, "-m", "nestling.cli"]
STUB = [sys.executable, "-P", str(Path(__file__).with_name("stub_server.py"))]


class Server(ServerProcess):
    """A command that prints its URL, and a client that asks it."""

    def __init__(
        self, command: list[str], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        """log: of what it writes to stderr. environment: its own; by default this process's."""
        self._log = log
        with log.open("w") as stderr:
            super().__init__(command, stderr, environment)
        self.client = httpx.Client(base_url=self.url, timeout=60)

    @cached_property
    def metrics_url(self) -> str:
        """Of the port of its own, if it was told to have one."""
        return next(url for line, url in iter(self.next_url, None) if line.startswith("Metrics"))

    @property
    def log(self) -> str:
        """What it wrote to stderr, but for how far its start was on a slow machine."""
        return without_progress(self._log.read_text())

    def classify(self, inputs: object, **fields: object) -> Any:
        """The answer of /v1/classify, which must be one."""
        response = self.client.post("/v1/classify", json={"inputs": inputs, **fields})
        assert response.status_code == 200, response.text
        return response.json()

    def metrics(self, url: str = "") -> dict[str, float]:
        """All series by name with labels, as they stand in the exposition."""
        text = self.client.get(f"{url}/metrics").text
        return {
            _series(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def stop(self) -> None:
        self.client.close()
        super().stop()


def serve(checkpoint: Path, log: Path, *flags: str) -> Server:
    """`nestling serve` on a free port, unless flags say otherwise by torch, which is the reference
    and makes no graphs, and by one process."""
    processes = () if "--processes" in flags else ("--processes", "1")
    return Server(serve_command(str(checkpoint), "--runner", "torch", *processes, *flags), log)


def _series(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
    return f"{name}{{{inner}}}" if inner else name
