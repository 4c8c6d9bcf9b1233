"""compose.yaml mounts what exists, read-only, and shows nothing to other machines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .files import GRAFANA, PROMETHEUS, ROOT, load

COMPOSE = load(ROOT / "compose.yaml")
SERVICES = COMPOSE["services"]


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """From the path in the container to the source and whether it is read-only."""
    found = {}
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        found[target] = (source, mode == ["ro"])
    return found


def test_services() -> None:
    assert set(SERVICES) == {"nestling", "prometheus", "grafana"}
    assert (ROOT / SERVICES["nestling"]["build"] / "Dockerfile").is_file()
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_versions_are_pinned_and_health_is_checked(name: str) -> None:
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_mounts_and_ports(service: dict[str, Any]) -> None:
    for source, read_only in mounts(service).values():
        if source.startswith("."):
            assert read_only
            assert (ROOT / source).is_dir()
        else:
            assert source in COMPOSE["volumes"]
    for port in service["ports"]:
        assert port.startswith("127.0.0.1:")


def test_what_the_parts_call_each_other() -> None:
    [scrape] = load(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["nestling:8000"]}]
    [source] = load(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    prometheus, grafana = mounts(SERVICES["prometheus"]), mounts(SERVICES["grafana"])
    assert prometheus["/etc/prometheus"][0] == "./deploy/prometheus"
    assert grafana["/etc/grafana/provisioning"][0] == "./deploy/grafana/provisioning"
    [provider] = load(GRAFANA / "provisioning/dashboards/nestling.yml")["providers"]
    dashboards = provider["options"]["path"]
    assert grafana[dashboards][0] == "./deploy/grafana/dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{dashboards}/nestling.json"
