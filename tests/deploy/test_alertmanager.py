"""Alertmanager takes the configuration that ships, and tells a receiver of an alert."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from .files import ALERTMANAGER, load
from .program import Program, wait_for
from .prometheus import Prometheus

CONFIG = ALERTMANAGER / "alertmanager.yml"


def amtool(*arguments: str) -> str:
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.needs("amtool")
def test_configuration_is_valid() -> None:
    amtool("check-config", str(CONFIG))


@pytest.mark.needs("amtool")
@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_every_severity_reaches_you(severity: str) -> None:
    route = ("config", "routes", "test", f"--config.file={CONFIG}")
    assert amtool(*route, f"severity={severity}") == "you"


def test_there_is_a_place_for_a_receiver() -> None:
    text = CONFIG.read_text("utf-8")
    assert "YOUR RECEIVER GOES HERE" in text
    assert load(CONFIG)["receivers"] == [{"name": "you"}]  # and nobody is told until then
    example = text.replace("    # webhook", "    webhook").replace("    #   - url", "      - url")
    [receiver] = yaml.safe_load(example)["receivers"]
    assert list(receiver["webhook_configs"][0]) == ["url"]


@pytest.fixture
def told() -> Iterator[tuple[str, list[Any]]]:
    """Where a receiver listens, and what it has been told."""
    received: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()
        thread.join()


@pytest.fixture
def alertmanager(told: tuple[str, list[Any]], tmp_path: Path) -> Iterator[Program]:
    """With the receiver in its place, and no pause before it is told."""
    config = load(CONFIG)
    [receiver] = config["receivers"]
    receiver["webhook_configs"] = [{"url": told[0]}]
    config["route"]["group_wait"] = "0s"
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    places = (f"--config.file={path}", f"--storage.path={tmp_path / 'data'}")
    alone = "--cluster.listen-address="
    running = Program("prometheus-alertmanager", tmp_path / "log", *places, alone)
    try:
        yield running
    finally:
        running.close()


@pytest.mark.needs("prometheus")
@pytest.mark.needs("prometheus-alertmanager")
def test_an_alert_reaches_the_receiver(
    prometheus: Prometheus, alertmanager: Program, told: tuple[str, list[Any]]
) -> None:
    """That of the price, which comes up at once."""
    prometheus.send_alerts_to(alertmanager.address)
    received = told[1]

    def sent() -> list[Any]:
        alerts = [alert for message in received for alert in message["alerts"]]
        return [a for a in alerts if a["labels"]["alertname"] == "NestlingCostOverBudget"]

    alert = wait_for(sent)[0]
    assert alert["status"] == "firing"
    assert alert["labels"]["severity"] == "warning"
    assert alert["annotations"]["runbook"] == "docs/monitoring.md#nestlingcostoverbudget"
    assert {message["receiver"] for message in received} == {"you"}
