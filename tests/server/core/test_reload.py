"""Another checkpoint under load, and an engine that dies or hangs."""

from __future__ import annotations

import asyncio
import math
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from nestling.models import Checkpoint, Predictor, load_checkpoint
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.torch import TorchRunner
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.guarantee_watch import GuaranteeWatch
from nestling.server.core.inference import answer
from nestling.server.core.reload import Reloader
from nestling.server.core.service import Service
from nestling.server.engine.executor import ExecutorGoneError
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.errors import RequestError
from nestling.server.http.keys import new_key
from nestling.server.settings import Settings
from nestling.server.telemetry.metrics import Metrics

from ...conftest import tiny_model, write_changed
from ..engine.test_engine import POISON, GatedRunner, one, run, until
from ..serving import Server, serve


@pytest.fixture
def directory(calibrated_dir: Path, tmp_path: Path) -> Path:
    """A copy that a test may replace."""
    return shutil.copytree(calibrated_dir, tmp_path / "served")


KEY, DIGEST = new_key()


@pytest.fixture
def running(directory: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """An administrator's server and client; its runner is the fixture's parameter, else torch."""
    keys = tmp_path / "keys"
    keys.write_text(f"admin {DIGEST}\n")
    flags = ("--admin-keys", str(keys), "--runner", getattr(request, "param", "torch"))
    with serve(directory, tmp_path / "log", *flags) as server:
        server.client.headers["X-API-Key"] = KEY
        yield server


def other(directory: Path) -> str:
    """Replace the checkpoint by one with other weights. Returns how their sha256 begins."""
    fresh = write_changed(directory, tiny_model(seed=7))
    directory.rename(directory.with_name("gone"))
    fresh.rename(directory)
    return load_checkpoint(directory).weights_sha256[:12]


ASKED = ["play some music", "book a table"]


def expected(directory: Path) -> tuple[str, list[Any]]:
    """The beginning of a checkpoint's sha256, and what it answers."""
    checkpoint = load_checkpoint(directory)
    predictor = Predictor(checkpoint)
    answers = [(predictor.label(d), d.answer.confidence) for d in predictor.predict(ASKED)]
    return checkpoint.weights_sha256[:12], [
        (label, pytest.approx(score, abs=1e-4)) for label, score in answers
    ]


async def traffic(url: str, stop: Event) -> list[tuple[int, Any]]:
    """Status and body of every answer, from four clients that never pause."""
    answers: list[tuple[int, Any]] = []

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=300) as http:
            while not stop.is_set():
                response = await http.post("/v1/classify", json={"inputs": ASKED})
                answers.append((response.status_code, response.json()))

    await asyncio.gather(*(client() for _ in range(4)))
    return answers


@pytest.mark.parametrize(
    "running", ["torch", pytest.param("onnx", marks=pytest.mark.slow)], indirect=True
)
def test_reload_under_load_fails_nobody_and_mixes_nothing(running: Server, directory: Path) -> None:
    before, old = expected(directory)

    async def scenario() -> list[tuple[int, Any]]:
        stop = Event()
        load = asyncio.create_task(traffic(running.url, stop))
        await asyncio.sleep(0.3)
        after = await asyncio.to_thread(other, directory)
        async with httpx.AsyncClient(
            base_url=running.url, timeout=300, headers={"X-API-Key": KEY}
        ) as http:
            reply = await http.post("/admin/reload")
            assert reply.status_code == 200, reply.text
            assert reply.json()["weights_sha256"].startswith(after)
        await asyncio.sleep(0.3)
        stop.set()
        return await load

    answers = asyncio.run(scenario())
    after, new = expected(directory)
    assert {status for status, _ in answers} == {200}
    of = {before: old, after: new}
    assert old != new
    seen = set()
    for _, texts in answers:
        [weights] = {text["decision"]["weights"] for text in texts}
        assert [(text["label"], text["score"]) for text in texts] == of[weights]
        seen.add(weights)
    assert seen == {before, after}


def test_a_bad_checkpoint_leaves_the_old_one_serving(running: Server, directory: Path) -> None:
    before = running.classify("book")["decision"]["weights"]
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    reply = running.client.post("/admin/reload", json={})
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["type"] == "bad_checkpoint"
    assert "model.safetensors" in error["message"]
    assert "the old checkpoint goes on serving" in error["message"]
    for change, word in ((math.nan, "tokens: nan and the like"), (1e38, "not finite when it")):
        model = tiny_model()
        (model.embedding.tokens if math.isnan(change) else model.layers[3].up.weight)[:] = change
        astray = write_changed(directory, model)
        refused = running.client.post("/admin/reload", json={"checkpoint": str(astray)})
        assert refused.status_code == 422
        assert word in refused.json()["error"]["message"]
        shutil.rmtree(astray)
    missing = running.client.post("/admin/reload", json={"checkpoint": "/nowhere"})
    assert "/nowhere: no such directory" in missing.json()["error"]["message"]
    assert running.classify("book")["decision"]["weights"] == before


def test_sighup_reloads_too(running: Server, directory: Path) -> None:
    after = other(directory)
    running.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 120
    while running.classify("book")["decision"]["weights"] != after:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_reload_at_a_time(running: Server) -> None:
    async def both() -> list[int]:
        async with httpx.AsyncClient(
            base_url=running.url, timeout=300, headers={"X-API-Key": KEY}
        ) as http:
            replies = await asyncio.gather(*(http.post("/admin/reload") for _ in range(2)))
            return sorted(reply.status_code for reply in replies)

    assert asyncio.run(both()) == [200, 409]


class Faulty(GatedRunner):
    """Hangs, or takes its thread along, on the next so many batches with a certain text."""

    hangs = deaths = 0

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        aimed = any(self.poison in ids for ids in batch.sequences)
        if aimed and self.hangs:
            self.hangs -= 1
            time.sleep(2)
        if aimed and self.deaths:
            self.deaths -= 1
            raise ExecutorGoneError
        return TorchRunner.forward(self, batch)


@pytest.mark.parametrize("fault", ["hangs", "deaths"])
def test_a_broken_engine_is_replaced_and_its_texts_are_asked_again(
    calibrated: Checkpoint, fault: str
) -> None:
    async def scenario(service: Service, runner: Any) -> Any:
        setattr(runner, fault, 1)
        [decision] = (await answer(service, one(POISON), RequestConstraints("tiny"))).decisions
        await until(lambda: service.ready)
        return decision, service.metrics.runner_restarts._value.get()

    decision, restarts = run(calibrated, scenario, runner=Faulty, hang_seconds=0.3)
    assert decision.answered
    assert len(decision.steps) == 1
    assert restarts == 1


def test_texts_that_break_it_twice_fail(calibrated: Checkpoint) -> None:
    async def scenario(service: Service, runner: Any) -> None:
        runner.deaths = 2
        with pytest.raises(RequestError, match="internal error"):
            await answer(service, one(POISON), RequestConstraints("tiny"))
        assert (await answer(service, one(POISON), RequestConstraints("tiny"))).decisions

    run(calibrated, scenario, runner=Faulty)


def test_out_of_memory_splits_the_batch(calibrated: Checkpoint) -> None:
    class Small(GatedRunner):
        def forward(self, batch: ForwardBatch) -> ForwardOutput:
            if len(batch.sequences) > 2:
                raise MemoryError
            return super().forward(batch)

    async def scenario(service: Service, runner: GatedRunner) -> Any:
        runner.open.clear()
        first = asyncio.ensure_future(answer(service, one("six"), RequestConstraints("tiny")))
        while not runner.batches:
            await asyncio.sleep(0.001)
        rest = [
            asyncio.ensure_future(answer(service, one("book a table"), RequestConstraints("tiny")))
            for _ in range(7)
        ]
        while len(service.queue) < 7:
            await asyncio.sleep(0.001)
        runner.open.set()
        await asyncio.gather(first, *rest)
        return runner.batches

    # The warm-up has three texts at a time: split as well.
    assert run(calibrated, scenario, runner=Small)[-4:] == [1, 2, 2, 2]


def test_what_was_started_is_stopped_when_another_runner_breaks_in_its_warm_up(
    calibrated: Checkpoint,
) -> None:
    class Broken(GatedRunner):
        def forward(self, batch: ForwardBatch) -> ForwardOutput:
            raise ArithmeticError("a defect")

    stopped: list[InProcessExecutor] = []

    class Watched(InProcessExecutor):
        async def stop(self) -> None:
            stopped.append(self)
            await super().stop()

    async def main() -> None:
        settings, metrics = Settings(), Metrics(calibrated.students)
        watch = GuaranteeWatch(metrics.guarantee)
        made = [
            Watched(kind(calibrated)) for kind in (GatedRunner, GatedRunner, GatedRunner, Broken)
        ]
        executors = iter(made)
        services = Reloader(
            lambda path, runner: next(executors),
            lambda executor: Service(executor, settings, metrics, watch),
            Service(next(executors), settings, metrics, watch),
            lambda manifest: None,
        )
        await services.start()
        await services.pin(["onnx"])
        serving = services.service
        with pytest.raises(ArithmeticError):
            await services.reload()
        assert sorted(map(made.index, stopped)) == [2, 3]
        assert services.service is serving
        assert serving.ready
        await services.stop()

    asyncio.run(main())
