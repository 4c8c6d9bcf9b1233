"""The image, built and run without an engine: `nestling serve` in it is asked over HTTP."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nestling.server.http.keys import new_key

from .conftest import EXPERIMENT
from .container import Container, Service
from .files import ROOT
from .image import Builder, Image

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.needs("debootstrap")]
CACHE, DATA = "/var/cache/nestling", "/var/lib/nestling"
LAUNCHER = Path(__file__).with_name("launcher.py")
RECORDER = ROOT / "benchmarks" / "kernels" / "recorder.py"


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("a file tree of Debian's needs root")
    building = Builder(tmp_path_factory.mktemp("images"))
    try:
        building.base()
        yield building
    finally:
        building.close()


@pytest.fixture(scope="module")
def image(builder: Builder) -> Image:
    """As it is built without arguments."""
    return builder.build("nestling", "cpu,console")


@pytest.fixture(scope="module")
def gpu_image(builder: Builder) -> Image:
    return builder.build("nestling-gpu", "gpu,console")


@pytest.fixture(scope="module")
def server(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`docker run --read-only --tmpfs /tmp nestling`."""
    container = Container(image, tmp_path_factory.mktemp("container"), {"NESTLING_PORT": port()})
    with container.start() as running:
        yield running


def port() -> str:
    """A free one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def test_it_says_what_it_is(image: Image) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = {name.rpartition(".")[2]: text for name, text in image.config["Labels"].items()}
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]
    assert labels["description"] == project["description"]
    assert labels["title"] == "Nestling"
    assert set(image.config["Volumes"]) == {CACHE, DATA}


def test_it_holds_what_it_needs(image: Image) -> None:
    for absent in ("source", "root/.cache", "usr/bin/gcc", "home/nestling"):
        assert not (image.root / absent).exists()
    [package] = (image.root / "opt/nestling/lib").glob("python*/site-packages/nestling")
    assert (package / "server" / "console" / "static").is_dir()


def test_it_answers(server: Service) -> None:
    assert server.client.get("/health").json() == {"status": "ready"}
    [answer] = server.classify(["how do i say goodbye in french"])
    assert answer["label"] == "translate"
    assert server.client.get("/console").status_code == 200


def test_it_has_no_rights(server: Service) -> None:
    assert set(server.inside.uids()) == {10001}
    for path in ("/file", "/opt/nestling/file", "/home/file"):
        refused = server.execute("touch", path)
        assert "Read-only file system" in refused.stderr
    for path in ("/tmp/file", f"{CACHE}/file", f"{DATA}/file"):
        assert server.execute("touch", path).returncode == 0


def test_its_health_is_checked(server: Service) -> None:
    healthy = server.check_health()
    assert healthy.returncode == 0, healthy.stderr
    server.inside.suspend()
    try:
        assert server.check_health().returncode != 0
    finally:
        server.inside.resume()


def test_settings_of_a_deployment(image: Image, calibrated_dir: Path, tmp_path: Path) -> None:
    """A checkpoint of one's own, experiments, keys, a port for metrics, IPv6, a proxy, no /tmp."""
    secret, digest = new_key()
    (tmp_path / "keys").write_text(f"somebody {digest}\n")
    (tmp_path / "experiments.yaml").write_text(EXPERIMENT)
    environment = {
        "NESTLING_HOST": "::",
        "NESTLING_PORT": port(),
        "NESTLING_METRICS_PORT": "0",
        "NESTLING_API_KEYS": "/keys",
        "NESTLING_EXPERIMENTS": "/experiments.yaml",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    given = {
        "/checkpoint": calibrated_dir,
        "/keys": tmp_path / "keys",
        "/experiments.yaml": tmp_path / "experiments.yaml",
    }
    container = Container(image, tmp_path, environment, given, tmpfs=False)
    with container.start("serve", "/checkpoint") as server:
        assert server.check_health().returncode == 0, server.log
        assert httpx.get(f"{server.metrics_url}/metrics").status_code == 200
        asked = {"inputs": ["money"]}
        assert server.client.post("/v1/classify", json=asked).status_code == 401
        allowed = {"Authorization": f"Bearer {secret}"}
        answer = server.client.post("/v1/classify", json=asked, headers=allowed)
        assert answer.status_code == 200, answer.text
        server.terminate()
        assert server.wait() == 0
    assert (container.volume(DATA) / "nestling.db").is_file()
    report = container.run("nestling", "experiment", "report", "smaller")
    assert report.returncode == 0, report.stderr


def test_graphs_are_kept(gpu_image: Image, calibrated_dir: Path, tmp_path: Path) -> None:
    """ONNX Runtime for CUDA computes on the CPU, too; the next start finds the graphs."""
    environment = {"NESTLING_PORT": port(), "NESTLING_RUNNER": "onnx"}
    container = Container(gpu_image, tmp_path, environment, {"/checkpoint": calibrated_dir})
    with container.start("serve", "/checkpoint") as server:
        assert server.classify(["money"])
        assert "no cache of graphs" not in server.log
    assert list(container.volume(CACHE).glob("nestling/onnx/*/tiny.onnx"))


def test_triton_runs(gpu_image: Image, tmp_path: Path) -> None:
    """All that it does before it asks a driver: kernels to machine code, and what starts them."""
    given = {"/launcher.py": LAUNCHER, "/recorder.py": RECORDER}
    container = Container(gpu_image, tmp_path, given=given)
    compiled = container.run("python", "/launcher.py")
    assert compiled.returncode == 0, compiled.stderr
    kept = container.volume(CACHE) / "triton"
    assert list(kept.glob("*/gate_kernel.cubin"))
    assert list(kept.glob("*/cuda_utils*.so"))
