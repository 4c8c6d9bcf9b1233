"""A port of its own for metrics and health: open, and there while the other is full or drains."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from nestling.models.errors import NestlingError
from nestling.server.http.keys import new_key
from nestling.server.settings import Settings

from ..serving import STUB, Server, serve
from ..supervisor.test_serve import fail
from ..supervisor.test_shutdown import post, refused, until


@pytest.fixture
def stub(calibrated_dir: Path, gate: Path, tmp_path: Path) -> Iterator[Server]:
    command = [*STUB, str(calibrated_dir), str(gate), "4", "0"]
    with Server(command, tmp_path / "log") as running:
        try:
            yield running
        finally:
            gate.touch()


def waiting(server: Server) -> float:
    series = server.metrics(server.metrics_url)
    return series["nestling_queue_requests"] + series["nestling_requests_running"]


def test_it_is_open_and_the_main_port_has_no_metrics(calibrated_dir: Path, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"ana {new_key()[1]}")
    flags = ("--metrics-port", "0", "--api-keys", str(users))
    with serve(calibrated_dir, tmp_path / "log", *flags) as server:
        for path in ("/metrics", "/health", "/v2/health/live", "/v2/health/ready"):
            assert httpx.get(server.metrics_url + path).status_code == 200
        assert server.metrics(server.metrics_url)["nestling_tokens_total"] == 0
        assert httpx.post(f"{server.metrics_url}/v1/classify").status_code == 404
        assert server.client.get("/health").status_code == 200
        assert server.client.get("/metrics").status_code == 401  # as any path that is not there
        server.terminate()
        assert server.wait() == 0
        assert server.log == ""


def test_it_answers_while_the_main_port_turns_away(stub: Server, gate: Path) -> None:
    assert stub.client.get("/metrics").status_code == 404
    gate.unlink()
    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(post, stub, "play some music") for _ in range(4)]
        until(lambda: waiting(stub) == 4)
        assert post(stub, "play some music").status_code == 429
        assert httpx.get(f"{stub.metrics_url}/health").status_code == 200
        gate.touch()
        assert [answer.result().status_code for answer in answers] == [200] * 4
    assert stub.metrics(stub.metrics_url)["nestling_errors_total{reason=overloaded}"] == 1


def test_it_says_that_the_server_drains_until_the_last_answer(stub: Server, gate: Path) -> None:
    gate.unlink()
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(post, stub, "play some music")
        until(lambda: waiting(stub) == 1)
        assert httpx.get(f"{stub.metrics_url}/health").json() == {"status": "ready"}
        stub.terminate()
        until(lambda: refused(stub))
        response = httpx.get(f"{stub.metrics_url}/health")
        assert (response.status_code, response.json()) == (503, {"status": "draining"})
        assert httpx.get(f"{stub.metrics_url}/v2/health/ready").status_code == 503
        assert httpx.get(f"{stub.metrics_url}/v2/health/live").status_code == 200
        assert waiting(stub) == 1
        gate.touch()
        assert answer.result().status_code == 200
    assert stub.wait() == 0
    assert stub.log == ""


def test_a_taken_port_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = fail(str(tmp_path / "nothing"), "--port", "0", "--metrics-port", port)
    assert line == f"nestling: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_two_ports_are_two() -> None:
    with pytest.raises(NestlingError, match="metrics_port: 8000 is the value of port too"):
        Settings(metrics_port=8000)
