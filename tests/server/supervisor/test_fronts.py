"""Whole processes behind one address: what is one for all, and what the end of one costs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nestling.models import Predictor, load_checkpoint
from nestling.server.http.keys import new_key

from ..console.listening import listening
from ..core.test_guarantee import ask as ask_texts
from ..core.test_guarantee import watched
from ..promises import BROKEN, promise, promising, with_path
from ..serving import Server
from ..sockets import BODY, Client, head

KEY, DIGEST = new_key()
FRONTS = [sys.executable, "-P", str(Path(__file__).with_name("fronts_server.py"))]
CLASSIFY = "nestling_requests_total{code=200,endpoint=/v1/classify}"
RESTARTS = "nestling_process_restarts_total"
TIGHT = 2e-6


@pytest.fixture(scope="module")
def directory(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = promising(calibrated_dir, tmp_path_factory.mktemp("fronts"))
    with_path(path, TIGHT)
    return path


@pytest.fixture(scope="module")
def stubborn(directory: Path) -> Path:
    """While it exists, one process does not load another checkpoint."""
    return directory.with_name("stubborn")


@pytest.fixture(scope="module")
def server(directory: Path, stubborn: Path) -> Iterator[Server]:
    keys = directory.with_name("keys")
    keys.write_text(f"admin {DIGEST}\n")
    flags = ["--processes", "2", "--port", "0", "--admin-keys", str(keys), "--hang-seconds", "2"]
    flags += ["--target-delay-ms", "0", "--shadow", "1", "--on-violation", "tighten"]
    flags += ["--store", f"sqlite:///{directory.with_name('record.db')}"]
    command = [*FRONTS, str(stubborn), str(directory), *flags]
    with Server(command, directory.with_name("log")) as running:
        running.client.headers["X-API-Key"] = KEY
        yield running


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fronts(server: Server) -> list[psutil.Process]:
    """The children of the process that forks them."""
    [forker] = psutil.Process(server.process.pid).children()
    return sorted(forker.children(), key=lambda each: each.pid)


def answers_of_both(server: Server) -> None:
    until(lambda: count(server, "nestling_processes") == 2)


def count(server: Server, name: str) -> float:
    return server.metrics()[name]


def on(server: Server, front: psutil.Process) -> Client:
    """A connection that a certain front answers on."""
    for _ in range(50):
        client = Client(server.url).send(head("/v1/classify") + BODY)
        assert client.answer()[0] == 200
        port = client.socket.getsockname()[1]
        if any(each.raddr and each.raddr.port == port for each in front.net_connections("tcp")):
            return client
        client.socket.close()
    raise AssertionError("no connection went there")


def test_both_answer_and_metrics_are_their_sums(
    server: Server, directory: Path, texts: list[str]
) -> None:
    answers_of_both(server)
    before = count(server, CLASSIFY)
    expected = [Predictor(load_checkpoint(directory)).predict([text])[0] for text in texts[:4]]
    labels = load_checkpoint(directory).architecture.head().labels
    for front in fronts(server):
        client = on(server, front)
        client.socket.close()
    between = count(server, CLASSIFY)
    found = [server.classify(text) for text in texts[:4]]
    assert [each["label"] for each in found] == [labels[d.answer.label] for d in expected]
    assert count(server, CLASSIFY) == between + 4
    assert between >= before + 2


def test_one_connection_reaches_whoever_answers(server: Server) -> None:
    """Texts are answered by a front, and the rest by the supervisor, in the order asked."""
    client = Client(server.url)
    asked = [head("/v1/classify") + BODY, head("/health", 0, method="GET")] * 3
    client.send(b"".join(asked))
    answers = [client.answer() for _ in asked]
    assert [status for status, _, _ in answers] == [200] * 6
    assert [("label" in body, body.get("status")) for _, _, body in answers] == [
        (True, None),
        (False, "ready"),
    ] * 3
    assert client.send(head("/v1/models", 0, method="HEAD")).head()[0] == 200
    assert client.send(head("/v1/classify", 0, method="GET")).answer()[0] == 405
    assert client.send(head("/nothing") + BODY).answer()[0] == 404
    client.socket.close()
    large = b'{"checkpoint": "' + b"x" * 300_000 + b'"}'
    fields = (f"X-API-Key: {KEY}",)
    split = Client(server.url).send(head("/admin/reload", len(large), *fields) + large[:200_000])
    status, _, body = split.send(large[200_000:]).answer()
    assert (status, body["error"]["type"]) == (422, "bad_checkpoint")
    split.socket.close()


def test_a_key_is_asked_for_in_either_process(server: Server) -> None:
    assert httpx.post(f"{server.url}/admin/reload").status_code == 401
    assert server.client.get("/admin/guarantees").status_code == 200


def test_the_feed_counts_all(server: Server, texts: list[str]) -> None:
    with listening(server) as events:
        before = next(content for name, content in events if name == "numbers")["total"]
        for front in fronts(server):
            client = on(server, front)
            client.socket.close()
        for _, content in events:
            if "total" in content and content["total"]["requests"] >= before["requests"] + 2:
                break


def test_an_experiment_is_declared_once_and_met_everywhere(server: Server) -> None:
    variants = [{"name": name, "weight": 1, "policy": name} for name in ("tiny", "small")]
    declared = {
        "layers": [{"name": "routing"}],
        "experiments": [
            {
                "name": "size",
                "layer": "routing",
                "owns": [0, 1],
                "enrolled": 1,
                "unit": {"header": "X-User-Id"},
                "start": "2026-01-01T00:00:00Z",
                "end": "2099-12-31T00:00:00Z",
                "variants": variants,
                "primary": {"metric": "accuracy", "smallest_effect": 0.005},
            }
        ],
    }
    reply = server.client.put("/v1/experiments", json=declared)
    assert reply.status_code == 200, reply.text
    met: dict[str, set[str]] = {}
    for front in fronts(server):
        client = on(server, front)
        for user in range(10):
            client.send(head("/v1/classify", len(BODY), f"X-User-Id: {user}") + BODY)
            found = client.answer()[2]["decision"]["variants"]
            met.setdefault(str(user), set()).add(found["size"])
        client.socket.close()
    assert {len(each) for each in met.values()} == {1}  # a unit gets the same from either process
    assert len(set.union(*met.values())) == 2
    name = "nestling_experiment_exposures_total{experiment=size,variant="
    series = server.metrics()
    assert sum(series[f"{name}{each}}}"] for each in ("tiny", "small")) >= 20
    until(lambda: server.metrics()["nestling_exposures_written_total"] >= 20)


def test_who_is_killed_takes_nobody_along(server: Server, directory: Path) -> None:
    answers_of_both(server)
    directory.with_name("keys").write_text("no keys any more\n")  # they were read at start
    doomed, other = fronts(server)
    with_doomed, with_other = on(server, doomed), on(server, other)
    restarts, answered = count(server, RESTARTS), count(server, CLASSIFY)
    doomed.kill()
    for _ in range(20):
        assert with_other.send(head("/v1/classify") + BODY).answer()[0] == 200
        assert server.client.get("/health").json() == {"status": "ready"}
    assert with_doomed.rest() == b""
    assert count(server, CLASSIFY) == answered + 20
    answers_of_both(server)
    until(lambda: count(server, RESTARTS) == restarts + 1)
    assert doomed.pid not in [each.pid for each in fronts(server)]
    assert count(server, CLASSIFY) >= answered + 20
    with_other.socket.close()
    assert f"process {doomed.pid} has ended with status -9: starting another" in server.log


def test_who_hangs_is_replaced(server: Server) -> None:
    answers_of_both(server)
    hanging, _ = fronts(server)
    restarts = count(server, RESTARTS)
    hanging.send_signal(signal.SIGSTOP)
    until(lambda: count(server, RESTARTS) == restarts + 1)
    answers_of_both(server)
    assert hanging.pid not in [each.pid for each in fronts(server)]
    assert server.client.get("/health").status_code == 200
    assert f"process {hanging.pid} hangs" in server.log


def test_a_tightening_reaches_all_and_those_that_come_later(
    server: Server, texts: list[str]
) -> None:
    answers_of_both(server)
    distinct = list(dict.fromkeys(texts))
    for start in range(0, len(distinct), 25):
        ask_texts(server, [f"book {text}" for text in distinct[start : start + 25]], BROKEN)
        if watched(server, BROKEN)["steps"]:
            break
    until(lambda: watched(server, BROKEN)["steps"])
    fronts(server)[0].kill()
    until(lambda: count(server, RESTARTS) and count(server, "nestling_processes") == 2)
    steps = watched(server, BROKEN)["steps"]
    assert set(thresholds_of_all(server)) == {steps[-1]["thresholds"]["tiny"]}
    assert server.client.post("/admin/guarantees/reset").status_code == 200
    until(lambda: set(thresholds_of_all(server)) == {1e-6})


def thresholds_of_all(server: Server) -> list[float]:
    """Of the broken cascade's first stage, as each front answers."""
    found = []
    body = b'{"inputs": "book a table", "model": "broken"}'
    for front in fronts(server):
        client = on(server, front)
        _, _, answer = client.send(head("/v1/classify", len(body)) + body).answer()
        found.append(answer["decision"]["path"][0]["threshold"])
        client.socket.close()
    return found


def weights_of_all(server: Server) -> list[str]:
    found = []
    for front in fronts(server):
        client = on(server, front)
        found.append(client.send(head("/v1/classify") + BODY).answer()[2]["decision"]["weights"])
        client.socket.close()
    return found


def test_a_reload_reaches_all_or_none(
    server: Server, directory: Path, stubborn: Path, calibrated_dir: Path
) -> None:
    answers_of_both(server)
    before = weights_of_all(server)
    body = {"checkpoint": str(calibrated_dir)}
    stubborn.touch()
    refused = server.client.post("/admin/reload", json=body)
    stubborn.unlink()
    assert refused.status_code == 422
    assert "this process does not load it" in refused.json()["error"]["message"]
    assert weights_of_all(server) == before
    taken = server.client.post("/admin/reload", json=body)
    assert taken.status_code == 200, taken.text
    now = taken.json()["weights_sha256"][:12]
    assert weights_of_all(server) == [now, now] != before
    fronts(server)[1].kill()  # who comes later loads what holds now
    until(lambda: len(fronts(server)) == 2 and count(server, "nestling_processes") == 2)
    assert weights_of_all(server) == [now, now]
    assert server.client.post("/admin/reload").status_code == 200  # the one given at start
    assert weights_of_all(server) == before
    promise(directory, 1e-3)  # which only another reload may take up
    fronts(server)[0].kill()
    until(lambda: len(fronts(server)) == 2 and count(server, "nestling_processes") == 2)
    assert thresholds_of_all(server) == [1e-6, 1e-6]


def test_a_drain_loses_nothing_and_leaves_nobody(
    calibrated_dir: Path, tmp_path: Path, texts: list[str]
) -> None:
    command = [*FRONTS, "no", str(calibrated_dir), "--processes", "2", "--port", "0"]
    command += ["--metrics-port", "0"]
    with Server(command, tmp_path / "log") as running, ThreadPoolExecutor(8) as clients:
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert len(family) == 3

        def ask(part: int) -> int:
            body = {"inputs": texts[part * 20 : part * 20 + 20] * 20}
            return httpx.post(f"{running.url}/v1/classify", json=body, timeout=60).status_code

        answers = [clients.submit(ask, part) for part in range(8)]
        until(lambda: in_house(running) >= 8 * 400)
        os.kill(running.process.pid, signal.SIGTERM)
        assert [answer.result() for answer in answers] == [200] * 8
        assert running.wait() == 0
        assert psutil.wait_procs(family, timeout=20)[1] == []


def in_house(server: Server) -> float:
    """Texts that have been taken, answered or not."""
    found = server.metrics(server.metrics_url)
    taken = sum(n for k, n in found.items() if k.startswith("nestling_tokenize_duration_seconds_c"))
    return 400 * taken


def test_none_outlives_a_supervisor_that_is_killed(server: Server) -> None:
    """The last of these tests, as nobody answers any more."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    server.process.wait()
    assert psutil.wait_procs(family, timeout=20)[1] == []
