"""A device that fails: what stays is left to another process, what passes fails one batch alone."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nestling.models import Checkpoint, NestlingError, device
from nestling.models.cascade.policy import Stage
from nestling.models.progress import Progress
from nestling.models.runners import torch as runners
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.torch import TorchRunner
from nestling.server.engine.worker import __main__ as worker
from nestling.server.engine.worker.channel import BlockingChannel
from nestling.server.engine.worker.messages import Embed, Failed, Open, Opened, Opening
from nestling.server.settings import Settings

from ..failing_server import ERROR, POISON
from ..serving import Server

STUB = Path(__file__).parents[1] / "failing_server.py"


class Fake(TorchRunner):
    """Fails as it is told to, and remembers what it was to compile."""

    error: Exception | None = None
    no_room: Exception | None = None
    warmed: list[int]

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        Fake.warmed = []

    def warm_up(self, max_tokens: int, progress: Progress) -> None:
        progress.step("compiling kernels", 3, 70)
        self.warmed.append(max_tokens)
        if self.no_room:
            raise self.no_room

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        if self.error:
            raise self.error
        return super().forward(batch)

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        if self.error:
            raise self.error
        return super().embed(sequences, student, dimensions)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "TorchRunner", Fake)
    for name in ("error", "no_room"):
        monkeypatch.setattr(Fake, name, None)


@contextmanager
def working(path: Path, **settings: int) -> Iterator[tuple[BlockingChannel, Future[None]]]:
    """The worker's own loop on a thread, and the server's end of its socket."""
    ours, theirs = socket.socketpair()
    with ours, ThreadPoolExecutor(1) as thread:
        server = BlockingChannel(ours)
        server.send(Open(path, Settings(threads=1, runner="torch", **settings)))

        def serve() -> None:
            with theirs:
                worker.serve(BlockingChannel(theirs))

        yield server, thread.submit(serve)
        ours.close()


def opened(server: BlockingChannel) -> tuple[list[Opening], Opened | Failed]:
    steps = []
    while isinstance(said := server.receive(), Opening):
        steps.append(said)
    return steps, said


def batch(checkpoint: Checkpoint) -> ForwardBatch:
    return ForwardBatch.of([[2, 5, 3]], Stage(checkpoint.students["tiny"], 0.0))


def test_what_passes_fails_a_batch_alone(
    calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(device, "check", checked.append)
    asked = [batch(calibrated), Embed([[2, 5, 3]], "tiny", 4)]
    errors: list[tuple[Exception, str]] = [
        (RuntimeError("Triton Error: out of resource: shared memory"), "error"),
        (MemoryError("no room"), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory"),
        (NestlingError("a wrong text"), "user"),
    ]
    with working(calibrated.path) as (server, _):
        assert isinstance(opened(server)[1], Opened)
        for request in asked:
            for error, kind in errors:
                monkeypatch.setattr(Fake, "error", error)
                server.send(request)
                failed = server.receive()
                assert isinstance(failed, Failed)
                assert failed.kind == kind
                assert str(error) in failed.message
            monkeypatch.setattr(Fake, "error", None)
            server.send(request)
            assert not isinstance(server.receive(), Failed)
    assert checked == ["cpu"] * 2 * len(errors)


@pytest.mark.parametrize("said", [ERROR, ""])
@pytest.mark.parametrize("asked", [batch, lambda _: Embed([[2, 5, 3]], "tiny", 4)])
def test_what_stays_ends_the_worker_without_an_answer(
    calibrated: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    asked: Callable[[Checkpoint], ForwardBatch | Embed],
    said: str,
) -> None:
    def check(_: str) -> None:
        raise RuntimeError(f"{said}\nmore of it")

    monkeypatch.setattr(device, "check", check)
    with working(calibrated.path) as (server, ended):
        opened(server)
        monkeypatch.setattr(Fake, "error", RuntimeError("an illegal instruction"))
        server.send(asked(calibrated))
        with pytest.raises(EOFError):
            server.receive()
        error = ended.exception(60)
    assert isinstance(error, worker.DeviceFailedError)
    assert str(error) == f"cpu answers no more ({said})"
    assert isinstance(error.__cause__, RuntimeError)


def test_a_device_that_says_nothing_does_not_hide_the_error(
    calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Event()
    monkeypatch.setattr(device, "check", lambda _: over.wait())
    monkeypatch.setattr(worker, "CHECK_SECONDS", 0.1)
    with working(calibrated.path) as (server, ended):
        opened(server)
        monkeypatch.setattr(Fake, "error", RuntimeError("an illegal instruction"))
        server.send(batch(calibrated))
        error = ended.exception(60)
    over.set()
    assert isinstance(error, worker.DeviceFailedError)
    assert str(error) == "cpu answers no more (it said nothing for 0.1 s)"
    assert str(error.__cause__) == "an illegal instruction"


def test_it_compiles_before_it_says_that_it_is_ready(calibrated: Checkpoint) -> None:
    with working(calibrated.path, max_batch_tokens=333) as (server, _):
        steps, said = opened(server)
        assert isinstance(said, Opened)
        assert (said.precision, said.device) == ("float32", "cpu")
    assert [step.phase for step in steps] == ["loading the weights", "compiling kernels"]
    assert (steps[1].done, steps[1].total) == (3, 70)
    assert Fake.warmed == [333]


@pytest.mark.parametrize("error", [MemoryError("none"), torch.OutOfMemoryError("none")])
def test_a_batch_that_never_fits_is_known_at_the_start(
    calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(Fake, "no_room", error)
    with working(calibrated.path, max_batch_tokens=333) as (server, ended):
        _, said = opened(server)
        assert said == Failed(
            "user", "max_batch_tokens: cpu has no memory for a batch of 333 tokens: none"
        )
        assert ended.result(60) is None


def test_a_server_survives_it_and_says_so(calibrated_dir: Path, tmp_path: Path) -> None:
    one = ("--processes", "1", "--port", "0", "--target-delay-ms", "0")
    command = [str(STUB), str(calibrated_dir), *one]
    with Server([sys.executable, "-P", *command], tmp_path / "log") as server:
        before = server.classify("play some music")
        assert server.classify(POISON)["decision"]["path"]  # by the second worker
        body = {"input": [POISON], "model": "tiny"}
        response = server.client.post("/v1/embeddings", json=body)  # by the third
        assert response.status_code == 200, response.text
        after = server.classify("play some music")
        assert (after["label"], after["score"]) == (before["label"], before["score"])
        metrics = server.metrics()
        assert metrics["nestling_runner_restarts_total"] == 2
        assert metrics["nestling_device_failures_total"] == 2
        assert metrics["nestling_errors_total{reason=internal}"] == 0
        assert server.log.count(f"cpu answers no more ({ERROR}): the worker ends") == 2
        assert f"RuntimeError: {ERROR}" in server.log
        assert server.log.count("the worker has ended because cpu answered no more") == 2
        assert server.log.count("the worker is there again, on cpu") == 2
