"""compose.yaml as docker-compose reads it: what exists is mounted, other machines see nothing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def merged(*files: str, **variables: str) -> dict[str, Any]:
    """The services that files make together, with variables of the environment filled in."""
    chosen = [f"--file={ROOT / file}" for file in ("compose.yaml", *files)]
    given = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        ["docker-compose", *chosen, "config"], capture_output=True, text=True, env=given
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["services"]


def test_services() -> None:
    assert set(SERVICES) == {"nestling", "prometheus", "alertmanager", "grafana"}
    assert (ROOT / SERVICES["nestling"]["build"]["context"] / "Dockerfile").is_file()
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "grafana"])
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
    config = load(PROMETHEUS / "prometheus.yml")
    [scrape] = config["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["nestling:8000"]}]
    [alertmanager] = config["alerting"]["alertmanagers"]
    assert alertmanager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    [source] = load(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    prometheus, grafana = mounts(SERVICES["prometheus"]), mounts(SERVICES["grafana"])
    assert prometheus["/etc/prometheus"][0] == "./deploy/prometheus"
    assert mounts(SERVICES["alertmanager"])["/etc/alertmanager"][0] == "./deploy/alertmanager"
    assert grafana["/etc/grafana/provisioning"][0] == "./deploy/grafana/provisioning"
    [provider] = load(GRAFANA / "provisioning/dashboards/nestling.yml")["providers"]
    dashboards = provider["options"]["path"]
    assert grafana[dashboards][0] == "./deploy/grafana/dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{dashboards}/nestling.json"


def test_whatever_the_image_writes_has_a_volume() -> None:
    """On a root file system that is read-only."""
    service = SERVICES["nestling"]
    assert service["read_only"] is True
    [declared] = re.findall(r"^VOLUME (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(yaml.safe_load(declared)) == set(mounts(service))
    assert service["tmpfs"] == ["/tmp"]


@pytest.mark.needs("docker-compose")
def test_defaults_are_the_images_own() -> None:
    nestling = merged()["nestling"]
    arguments = re.findall(r"^ARG (\w+)=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert nestling["build"]["args"] == {name: value.strip('"') for name, value in arguments}
    assert nestling["environment"]["NESTLING_RUNNER"] == "auto"


@pytest.mark.needs("docker-compose")
def test_choices_reach_the_build_and_the_server() -> None:
    chosen = {
        "PYTHON": "3.13",
        "EXTRAS": "cpu,console,otel",
        "TORCH_INDEX": "https://example.org/cpu",
    }
    nestling = merged(**chosen, RUNNER="onnx-int8", NESTLING_SHADOW="0.5")["nestling"]
    assert nestling["build"]["args"] == chosen
    assert nestling["environment"]["NESTLING_RUNNER"] == "onnx-int8"
    assert nestling["environment"]["NESTLING_SHADOW"] == "0.5"
    assert merged(EXTRAS="")["nestling"]["build"]["args"]["EXTRAS"] == ""


@pytest.mark.needs("docker-compose")
def test_a_gpu_is_reserved() -> None:
    usual, nestling = merged()["nestling"], merged("compose.gpu.yaml")["nestling"]
    [device] = nestling.pop("deploy")["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert nestling["build"]["args"].pop("EXTRAS") == "gpu,console"
    assert nestling["environment"].pop("NESTLING_DEVICE") == "cuda"
    del usual["build"]["args"]["EXTRAS"]
    assert nestling == usual


@pytest.mark.needs("docker-compose")
def test_a_file_of_ones_own_adds_to_it(tmp_path: Path) -> None:
    """What docs/monitoring.md shows for compose.override.yaml."""
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    [shown] = re.findall(r"```yaml compose.override.yaml\n(services:\n.*?)```", page, re.DOTALL)
    override = tmp_path / "compose.override.yaml"
    override.write_text(shown)
    nestling = merged(str(override))["nestling"]
    for path in ("/checkpoint", "/experiments.yaml"):
        assert path in nestling["environment"].values()
        assert any(volume.endswith(f"{path}:ro") for volume in nestling["volumes"])
    assert set(mounts(nestling)) > set(mounts(merged()["nestling"]))
