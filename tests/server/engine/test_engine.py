"""The service without HTTP, on a runner that the test holds in its hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

import pytest

from nestling.models import Checkpoint, Predictor
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.torch import TorchRunner
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.guarantee_watch import GuaranteeWatch
from nestling.server.core.inference import answer
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.errors import Reason, RequestError
from nestling.server.settings import Settings
from nestling.server.telemetry.metrics import Metrics

POISON = "alarm"
TINY = RequestConstraints("tiny")


class GatedRunner(TorchRunner):
    """The model behind a gate; it breaks on a batch that holds the poison."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.poison = checkpoint.tokenizer.encode([POISON])[0][1]
        self.open = Event()
        self.open.set()
        self.batches: list[int] = []
        self.hold_from = 0

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        self.batches.append(len(batch.sequences))
        if len(self.batches) == self.hold_from:
            self.open.clear()
        assert self.open.wait(timeout=30)
        if any(self.poison in ids for ids in batch.sequences):
            raise ArithmeticError("poison")
        return super().forward(batch)


def one(text: str) -> Inputs:
    return Inputs([text], single=True)


def service_of(runner: TorchRunner, settings: Settings, metrics: Metrics) -> Service:
    """Not yet started."""
    executor = InProcessExecutor(runner)
    return Service(executor, settings, metrics, GuaranteeWatch(metrics.guarantee))


def run(
    checkpoint: Checkpoint,
    scenario: Callable[[Service, GatedRunner], Awaitable[Any]],
    runner: type[GatedRunner] = GatedRunner,
    **settings: float,
) -> Any:
    """Run a scenario on a started service."""

    async def main() -> Any:
        held = runner(checkpoint)
        metrics = Metrics(checkpoint.students)
        service = service_of(held, Settings(**settings), metrics)  # type: ignore[arg-type]
        assert not service.ready
        await service.start()
        service.show()
        assert service.ready
        held.batches.clear()
        try:
            return await asyncio.wait_for(scenario(service, held), timeout=60)
        finally:
            held.open.set()
            await service.stop()

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_an_exception_fails_only_its_batch(
    calibrated: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> list[Any]:
        runner.open.clear()
        first = asyncio.ensure_future(answer(service, one("play some music"), TINY))
        await until(lambda: runner.batches == [1])
        together = [
            asyncio.ensure_future(answer(service, one(text), TINY))
            for text in ("book a table", f"set an {POISON}", "turn off lights")
        ]
        await until(
            lambda: service.metrics.registry.get_sample_value("nestling_queue_requests") == 3
        )
        runner.open.set()
        failed = await asyncio.gather(first, *together, return_exceptions=True)
        return [*failed, await answer(service, one("book a table"), TINY)]

    first, *failed, after = run(calibrated, scenario)
    assert first.decisions[0].answer.accepted
    assert after.decisions[0].answer.accepted
    assert {type(error) for error in failed} == {RequestError}
    assert {error.reason for error in failed} == {Reason.INTERNAL}
    assert "poison" not in str(failed[0])
    assert failed[0].details["id"] in caplog.text
    assert "ArithmeticError: poison" in caplog.text


def test_a_failed_batch_takes_the_rest_of_its_request_along(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> list[int]:
        many = Inputs([POISON, "play some music", "book a table", "turn off lights"], single=False)
        with pytest.raises(RequestError):
            await answer(service, many, TINY)
        await answer(service, one("play some music"), TINY)
        return runner.batches

    assert run(calibrated, scenario, max_batch_requests=2) == [2, 1]


def test_cancelled_work_is_dropped(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> list[int]:
        runner.open.clear()
        running = asyncio.ensure_future(answer(service, one("play some music"), TINY))
        await until(lambda: runner.batches == [1])
        gone = asyncio.ensure_future(answer(service, one("book a table"), TINY))
        await until(
            lambda: service.metrics.registry.get_sample_value("nestling_queue_requests") == 1
        )
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        runner.open.set()
        await running
        await answer(service, one("turn off lights"), TINY)
        return runner.batches

    assert run(calibrated, scenario) == [1, 1]


def test_a_full_queue_refuses_and_recovers(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: GatedRunner) -> None:
        runner.open.clear()
        waiting = asyncio.ensure_future(
            answer(service, Inputs(["play some music"] * 3, single=False), TINY)
        )
        await until(lambda: runner.batches == [3])
        with pytest.raises(RequestError, match="3 texts are waiting and 2 more") as refused:
            await answer(service, Inputs(["book a table"] * 2, single=False), TINY)
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": "1"}
        runner.open.set()
        await waiting
        await answer(service, Inputs(["book a table"] * 4, single=False), TINY)

    run(calibrated, scenario, max_queued_requests=4, max_client_batch=4)


def test_a_batch_mixes_stages_and_students(calibrated: Checkpoint, texts: list[str]) -> None:
    policies = ["auto", "tiny", "ta", "short"]
    expected = [
        Predictor(calibrated, policies[i % 4]).predict([text])[0] for i, text in enumerate(texts)
    ]

    async def scenario(service: Service, runner: GatedRunner) -> list[Any]:
        runner.poison = -1
        answers = (
            answer(service, one(text), RequestConstraints(policies[i % 4]))
            for i, text in enumerate(texts)
        )
        return await asyncio.gather(*answers)

    for answers, alone in zip(run(calibrated, scenario), expected, strict=True):
        [decision] = answers.decisions
        path = [(s.stage.student.name, s.label, s.accepted) for s in decision.steps]
        assert path == [(s.stage.student.name, s.label, s.accepted) for s in alone.steps]
        assert decision.flops == alone.flops


def test_a_backend_that_cannot_start_says_so(calibrated: Checkpoint) -> None:
    class Broken(TorchRunner):
        def forward(self, batch: ForwardBatch) -> ForwardOutput:
            raise RuntimeError("no kernel image")

    async def main() -> None:
        service = service_of(Broken(calibrated), Settings(), Metrics(calibrated.students))
        with pytest.raises(RuntimeError, match="no kernel image"):
            await service.start()
        assert not service.ready
        await service.stop()

    asyncio.run(main())
