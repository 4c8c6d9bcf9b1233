"""A worker that replaces another: it opens the same thing, in the time that it needs."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nestling.models import Checkpoint
from nestling.models.precision import Precision
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.torch import TorchRunner
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.engine.executor import ExecutorGoneError
from nestling.server.engine.worker.channel import BlockingChannel
from nestling.server.engine.worker.client import WorkerClient
from nestling.server.engine.worker.messages import Open, Opened
from nestling.server.engine.worker.process import DEVICE_FAILED, WorkerProcess
from nestling.server.settings import Settings

from .test_engine import POISON, GatedRunner, one, run, until


class Ended:
    """A worker's process that has ended with a status, and the worker's end of its socket."""

    def __init__(self, served: Checkpoint, precision: Precision, status: int) -> None:
        ours, theirs = socket.socketpair()
        self.worker = BlockingChannel(theirs)
        parts = (served.students, served.cascades, served.default, "torch")
        self.worker.send(Opened(*parts, precision, "cpu", served.weights_sha256))
        process = SimpleNamespace(kill=lambda: None, wait=lambda *_: status, returncode=status)
        self.process = WorkerProcess(cast(Any, process), BlockingChannel(ours))


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", "float32"), ("bfloat16", "bfloat16"), ("int8", "auto")],
)
@pytest.mark.parametrize("status", [0, DEVICE_FAILED])
def test_the_next_computes_on_the_same_device_in_the_same_precision(
    calibrated: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    precision: Precision,
    dtype: str,
    status: int,
) -> None:
    """The server goes by the thresholds that the first one had, whatever is on the disk by now."""
    first, second = (Ended(calibrated, precision, status) for _ in range(2))
    monkeypatch.setattr(WorkerProcess, "now", lambda: second.process)

    async def main() -> WorkerClient:
        client = WorkerClient(calibrated.path, Settings(), first.process)
        client.ready()
        await client.start()
        await client.restart()
        await client.stop()
        return client

    client = asyncio.run(main())
    assert client.precision == precision
    assert client.device_failures == (status == DEVICE_FAILED)
    asked: list[Open] = [first.worker.receive(), second.worker.receive()]
    assert [each.path for each in asked] == [Path(calibrated.path)] * 2
    assert (asked[0].settings.device, asked[0].settings.dtype) == ("auto", "auto")
    assert (asked[1].settings.device, asked[1].settings.dtype) == ("cpu", dtype)


def test_one_that_is_about_to_end_is_left_to_say_why(
    calibrated: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker closes its socket a moment before it has ended with its status."""
    first, second = (Ended(calibrated, "float32", DEVICE_FAILED) for _ in range(2))
    monkeypatch.setattr(WorkerProcess, "now", lambda: second.process)
    killed: list[str] = []
    monkeypatch.setattr(first.process.process, "kill", lambda: killed.append("first"))

    async def main() -> WorkerClient:
        client = WorkerClient(calibrated.path, Settings(), first.process)
        client.ready()
        await client.start()
        first.worker.close()
        while client.alive:
            await asyncio.sleep(0.01)
        await client.restart()
        await client.stop()
        return client

    assert asyncio.run(main()).device_failures == 1
    assert killed == []


class Cold(GatedRunner):
    """Dies once of a certain text; what it is asked first after that takes long, as a compile."""

    dies = cold = False

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        if self.dies and any(self.poison in ids for ids in batch.sequences):
            self.dies, self.cold = False, True
            raise ExecutorGoneError
        if self.cold:
            self.cold = False
            time.sleep(1)
        return TorchRunner.forward(self, batch)


def test_no_compile_of_a_start_is_taken_for_a_hang(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: Any) -> float:
        runner.dies = True
        assert (await answer(service, one(POISON), RequestConstraints("tiny"))).decisions
        await until(lambda: service.ready)
        return service.metrics.runner_restarts._value.get()

    assert run(calibrated, scenario, runner=Cold, hang_seconds=0.2) == 1


class HalfDone(GatedRunner):
    """Has no memory for the first batch, answers half of it, and dies of the other half."""

    held, asked = False, 0

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        self.asked += self.held
        if self.asked == 1:
            raise MemoryError
        if self.asked == 3:
            raise ExecutorGoneError
        return TorchRunner.forward(self, batch)


def test_a_half_that_was_answered_is_not_counted_twice(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: Any) -> list[int]:
        runner.held = True
        many = Inputs(["play some music", "book a table", "set an alarm", "stop"], single=False)
        answered = await answer(service, many, RequestConstraints("tiny"))
        assert runner.asked > 3
        return [len(decision.steps) for decision in answered.decisions]

    assert run(calibrated, scenario, runner=HalfDone) == [1, 1, 1, 1]
