"""The worker's process: killed, stopped, orphaned, and what clients notice of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ..serving import Server, serve


@pytest.fixture(scope="module")
def running(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server: each test finds it well, and leaves it so, but for the last."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with serve(calibrated_dir, log, "--hang-seconds", "2") as server:
        yield server


def worker_of(server: Server) -> psutil.Process:
    [worker] = psutil.Process(server.process.pid).children()
    return worker


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(server: Server) -> int:
    return server.client.get("/health").status_code


def restarts(server: Server) -> float:
    return server.metrics()["nestling_runner_restarts_total"]


@pytest.mark.parametrize("fault", ["dies", "hangs"])
def test_what_was_in_flight_is_asked_again_by_the_next(running: Server, fault: str) -> None:
    expected = running.classify("play some music")["label"]
    first, before = worker_of(running), restarts(running)
    first.suspend()
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(running.classify, "play some music")
        until(lambda: running.metrics()["nestling_requests_running"] == 1)
        if fault == "dies":
            first.kill()
        until(lambda: status(running) == 503)
        assert answer.result(60)["label"] == expected
    until(lambda: status(running) == 200)
    assert restarts(running) == before + 1
    assert worker_of(running).pid != first.pid
    assert not first.is_running()


def test_death_while_nobody_asks_is_noticed(running: Server) -> None:
    before = restarts(running)
    worker_of(running).kill()
    until(lambda: restarts(running) == before + 1)
    until(lambda: status(running) == 200)
    assert running.classify("play some music")["label"]


def test_embeddings_survive_it(running: Server) -> None:
    def embed() -> object:
        body = {"input": ["play some music"], "model": "tiny"}
        response = running.client.post("/v1/embeddings", json=body)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    expected = embed()
    worker_of(running).kill()
    assert embed() == expected


def test_it_ends_with_the_server(running: Server) -> None:
    worker = worker_of(running)
    running.process.send_signal(signal.SIGKILL)
    running.wait()
    worker.wait(10)


def test_the_server_itself_never_loads_torch() -> None:
    code = (
        "import sys, nestling.server.http.app, nestling.server.engine.worker.client\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
