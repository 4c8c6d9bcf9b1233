"""A real Prometheus with the configuration that ships."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from .files import PROMETHEUS, load
from .program import Program, wait_for

INTERVAL = "1s"


class Prometheus(Program):
    """Scrapes a target each second. Raises httpx.HTTPStatusError for a query that is none."""

    def __init__(self, target: str, folder: Path) -> None:
        self._path = folder / "prometheus.yml"
        self._config = load(PROMETHEUS / "prometheus.yml")
        self._config["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        self._config["rule_files"] = [
            _hasty(path, folder)
            for pattern in self._config["rule_files"]
            for path in PROMETHEUS.glob(pattern)
        ]
        _replace_target(self._config["scrape_configs"], target)
        self._alerting = self._config.pop("alerting")
        self._write()
        super().__init__(
            "prometheus",
            folder / "log",
            f"--config.file={self._path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--rules.alert.resend-delay={INTERVAL}",
        )

    def send_alerts_to(self, address: str) -> None:
        """From now on, to an Alertmanager."""
        self._config["alerting"] = self._alerting
        _replace_target(self._alerting["alertmanagers"], address)
        self._write()
        self.read_again()

    def ask(self, path: str, **params: str) -> Any:
        """The data of a call of /api/v1."""
        response = self.client.get(f"/api/v1/{path}", params=params)
        response.raise_for_status()
        return response.json()["data"]

    def values(self, query: str) -> list[float]:
        """What a query returns now, without the NaN of what has not happened."""
        result = self.ask("query", query=query)["result"]
        values = [float(series["value"][1]) for series in result]
        return [value for value in values if math.isfinite(value)]

    def wait_for(self, query: str) -> list[float]:
        """The same, as soon as there is something; empty where there never is."""
        return wait_for(lambda: self.values(query))

    def _write(self) -> None:
        self._path.write_text(yaml.safe_dump(self._config))


def _hasty(path: Path, folder: Path) -> str:
    """A file with the same rules, whose alerts fire as soon as they have come up twice."""
    rules = load(path)
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = INTERVAL
    copy = folder / path.name
    copy.write_text(yaml.safe_dump(rules))
    return str(copy)


def _replace_target(configs: list[dict[str, Any]], address: str) -> None:
    """Of the only one that is configured."""
    [config] = configs
    [static] = config["static_configs"]
    static["targets"] = [address]
