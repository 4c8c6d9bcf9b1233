"""A floor under the speed: CPU time against a yardstick that is measured beside it.

Timings never go into tests, because a machine that others use too makes any of them late. CPU time
is no such timing: a process that has to wait uses none. It still varies, by caches and clock rates;
so each figure is the least of several rounds in which both sides take turns, only their ratio
counts, and the limits lie at nearly twice what is usual. They are to catch a request that costs
twice as much as before, not a few percent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch

from benchmarks.server.closed import closed_loop
from nestling.loadtest.client.protocols import PROTOCOLS
from nestling.loadtest.client.target import find
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import Texts
from nestling.models import Predictor

from ..models.test_zoo import TEXTS, shipped
from ..server.conftest import calibrated_dir, texts
from ..server.serving import Server, serve

__all__ = ["calibrated_dir", "texts"]
pytestmark = pytest.mark.slow
ROUNDS = 5
SECONDS = 0.6
CLIENTS = 8
OVER_PLAIN = 3.5
CASCADE_OVER_TA = 0.5


@pytest.fixture(scope="module")
def server(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("performance") / "log"
    with serve(calibrated_dir, log, "--target-delay-ms", "0") as running:
        yield running


@pytest.fixture(scope="module")
def plain(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Answers, to one text in a list, what Nestling answered once."""
    folder = tmp_path_factory.mktemp("plain")
    answer = server.client.post("/v1/classify", json={"inputs": ["book a table"]})
    (folder / "answer").write_bytes(answer.content)
    script = str(Path(__file__).with_name("plain_server.py"))
    with Server([sys.executable, script, str(folder / "answer")], folder / "log") as running:
        yield running


def cpu_per_request(server: Server, texts: list[str]) -> float:
    """Seconds of the process that answers HTTP, not of the one that computes."""
    asked = Texts(tuple(texts), tuple(texts), "texts", "")
    setup = Setup(find(server.url), asked, PROTOCOLS, {"native": 1.0})
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    records = closed_loop(setup, CLIENTS, SECONDS, "tiny")
    after = process.cpu_times()
    assert set(records.requests.status.tolist()) == {200}
    return (after.user + after.system - before.user - before.system) / len(records)


def least(sides: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Of several rounds in which the sides take turns; the first warms up and does not count."""
    rounds = [{name: measure() for name, measure in sides.items()} for _ in range(ROUNDS + 1)]
    return {name: min(found[name] for found in rounds[1:]) for name in sides}


def test_a_request_costs_little_more_than_one_that_does_nothing(
    server: Server, plain: Server, texts: list[str]
) -> None:
    found = least(
        {
            "nestling": lambda: cpu_per_request(server, texts),
            "plain": lambda: cpu_per_request(plain, texts),
        }
    )
    assert found["nestling"] / found["plain"] < OVER_PLAIN, found


def test_a_cascade_costs_much_less_than_the_ta() -> None:
    predictors = {name: Predictor(shipped(), name) for name in ("auto", "ta")}

    def cpu_of(predictor: Predictor) -> float:
        before = time.process_time()
        for text in TEXTS:
            predictor.predict([text])
        return time.process_time() - before

    assert torch.get_num_threads() == 1  # threads that wait for each other use CPU time
    found = least({name: lambda p=p: cpu_of(p) for name, p in predictors.items()})
    assert found["auto"] / found["ta"] < CASCADE_OVER_TA, found
