"""A real Prometheus in a process of its own, with the configuration that ships."""

from __future__ import annotations

import math
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from .files import PROMETHEUS, load

INTERVAL = "1s"
PATIENCE = 30.0
"""Seconds until something must have been scraped and evaluated."""


class Prometheus:
    """Scrapes a target each second. Raises httpx.HTTPStatusError for a query that is none."""

    def __init__(self, target: str, folder: Path) -> None:
        config = load(PROMETHEUS / "prometheus.yml")
        config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        config["rule_files"] = [str(PROMETHEUS / pattern) for pattern in config["rule_files"]]
        [scrape] = config["scrape_configs"]
        [static] = scrape["static_configs"]
        static["targets"] = [target]
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        self._log = folder / "log"
        command = [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self._client = httpx.Client(base_url=f"http://{self._address()}", timeout=30)
            self._wait_until_ready()
        except BaseException:
            self._process.kill()
            raise

    def ask(self, path: str, **params: str) -> Any:
        """The data of a call of /api/v1."""
        response = self._client.get(f"/api/v1/{path}", params=params)
        response.raise_for_status()
        return response.json()["data"]

    def values(self, query: str) -> list[float]:
        """What a query returns now, without the NaN of what has not happened."""
        result = self.ask("query", query=query)["result"]
        values = [float(series["value"][1]) for series in result]
        return [value for value in values if math.isfinite(value)]

    def wait_for(self, query: str) -> list[float]:
        """The same, as soon as there is something; empty where there never is."""
        end = time.monotonic() + PATIENCE
        while not (values := self.values(query)) and time.monotonic() < end:
            time.sleep(0.2)
        return values

    def close(self) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=30)

    def _address(self) -> str:
        """Where it listens, as it says itself."""
        while not (found := re.search(r'"Listening on".* address=(\S+)', self._log.read_text())):
            self._wait_a_little()
        return found[1]

    def _wait_until_ready(self) -> None:
        while self._client.get("/-/ready").status_code != 200:
            self._wait_a_little()

    def _wait_a_little(self) -> None:
        assert self._process.poll() is None, self._log.read_text()
        time.sleep(0.05)
