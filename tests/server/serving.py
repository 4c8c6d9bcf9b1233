"""A real server in a process of its own, on a real port."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ..progress import without_progress

NESTLING = [sys.executable, "-m", "nestling.cli"]
STUB = [sys.executable, "-P", str(Path(__file__).with_name("stub_server.py"))]


class Server:
    """Starts a command that announces its URL, and stops it with SIGTERM."""

    def __init__(
        self, command: list[str], log: Path, environment: dict[str, str] | None = None
    ) -> None:
        """environment: of the process; by default this one's."""
        self._log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment
            )
        self.greeting, self.url = self._next_url()
        self.client = httpx.Client(base_url=self.url, timeout=60)

    @cached_property
    def metrics_url(self) -> str:
        """Of the port of its own, if it was told to have one."""
        return next(url for line, url in iter(self._next_url, None) if line.startswith("Metrics"))

    def _next_url(self) -> tuple[str, str]:
        """The next line of its output that names one, and the URL up to its port."""
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.search(r"http://\S+:\d+", line):
                return line, found[0]
        raise AssertionError(f"no greeting; {self.log}")

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

    def terminate(self) -> None:
        """Send SIGTERM without waiting."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(timeout=60)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.terminate()
            self.wait()
        assert self.process.stdout
        self.process.stdout.close()


def serve(checkpoint: Path, log: Path, *flags: str) -> Server:
    """`nestling serve` on a free port."""
    return Server([*NESTLING, "serve", str(checkpoint), "--port", "0", *flags], log)


def _series(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
    return f"{name}{{{inner}}}" if inner else name
