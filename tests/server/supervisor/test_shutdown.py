"""Waiting work: when the server stops, when a client goes, when there is too much of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from ..serving import STUB, Server
from ..sockets import BODY, Client, head


@pytest.fixture
def stub(calibrated_dir: Path, gate: Path, tmp_path: Path) -> Iterator[Server]:
    with Server([*STUB, str(calibrated_dir), str(gate), "12"], tmp_path / "log") as running:
        try:
            yield running
        finally:
            gate.touch()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waiting(server: Server) -> float:
    series = server.metrics()
    return series["nestling_queue_requests"] + series["nestling_requests_running"]


def post(server: Server, text: str) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/classify", json={"inputs": text}, timeout=60)


def test_sigterm_answers_everything_that_was_accepted(
    stub: Server, gate: Path, texts: list[str]
) -> None:
    gate.unlink()
    with ThreadPoolExecutor(10) as clients:
        answers = [clients.submit(post, stub, text) for text in texts[:10]]
        until(lambda: waiting(stub) == 10)
        stub.client.close()
        stub.terminate()
        until(lambda: refused(stub))
        assert stub.process.poll() is None
        gate.touch()
        assert [answer.result().status_code for answer in answers] == [200] * 10
    assert stub.wait() == 0
    assert stub.log == ""


def test_a_client_that_goes_takes_its_work_along(stub: Server, gate: Path) -> None:
    gate.unlink()
    with ThreadPoolExecutor(1) as clients:
        running = clients.submit(post, stub, "play some music")
        until(lambda: waiting(stub) == 1)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{stub.url}/v1/classify", json={"inputs": "book a table"}, timeout=0.5)
        gone = "nestling_requests_total{code=499,endpoint=/v1/classify}"
        until(lambda: stub.metrics()[gone] == 1)
        gate.touch()
        assert running.result().status_code == 200
    until(lambda: waiting(stub) == 0)
    series = stub.metrics()
    assert series["nestling_tokens_total"] == 5  # of the one text that was wanted
    assert series["nestling_errors_total{reason=client_gone}"] == 1


def test_a_client_that_has_but_ended_its_side_waits_for_its_answer(
    stub: Server, gate: Path
) -> None:
    gate.unlink()
    client = Client(stub.url).send((head("/v1/classify") + BODY) * 2)
    client.socket.shutdown(socket.SHUT_WR)
    until(lambda: waiting(stub) == 1)
    time.sleep(0.3)  # in which it is found that somebody is there
    gate.touch()
    first, second = client.rest().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"close" not in first
    assert b"connection: close" in second
    assert stub.metrics()["nestling_errors_total{reason=client_gone}"] == 0


def test_one_connection_has_one_request_in_the_house(stub: Server, gate: Path) -> None:
    gate.unlink()
    client = Client(stub.url).send((head("/v1/classify") + BODY) * 5)
    until(lambda: waiting(stub) == 1)
    for _ in range(20):  # the others have come as well
        assert waiting(stub) == 1
    gate.touch()
    assert [client.answer()[0] for _ in range(5)] == [200] * 5


def test_beyond_the_limit_come_back_later(stub: Server, gate: Path, texts: list[str]) -> None:
    gate.unlink()
    with ThreadPoolExecutor(12) as clients:
        answers = [clients.submit(post, stub, text) for text in texts[:12]]
        until(lambda: waiting(stub) == 12)
        refusal = post(stub, "play some music")
        gate.touch()
        assert [answer.result().status_code for answer in answers] == [200] * 12
    assert refusal.status_code == 429
    assert refusal.headers["Retry-After"] == "1"
    error = refusal.json()["error"]
    assert (error["type"], error["limit"], error["actual"]) == ("overloaded", 12, 12)
    assert post(stub, "play some music").status_code == 200


def refused(server: Server) -> bool:
    try:
        httpx.get(f"{server.url}/health", timeout=5)
    except httpx.TransportError:
        return True
    return False
