"""The one entry for inference, asked without any HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from nestling.experiments.apply import declare
from nestling.experiments.runtime import known_of
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.schema import exposures
from nestling.models import Checkpoint, Predictor
from nestling.models.runners.torch import TorchRunner
from nestling.server.build import assemble
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.requests import Caller, InferenceRequest, Inputs
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.errors import Reason, RequestError
from nestling.server.settings import Settings

from ...experiments.declared import experiment

TEXTS = ["book a table", "play some music", "set an alarm"]


def request(model: str = "auto") -> InferenceRequest:
    return InferenceRequest(Inputs(TEXTS, single=False), RequestConstraints(model))


def test_a_service_is_built_and_asked_without_http(calibrated: Checkpoint) -> None:
    async def main() -> None:
        executor = InProcessExecutor(TorchRunner(calibrated))
        inference = assemble(executor, Settings(), lambda *_: executor)
        await inference.start()
        try:
            answers = await inference.infer(request(), Caller("1"))
            expected = Predictor(calibrated).predict(TEXTS)
            for decision, alone in zip(answers.decisions, expected, strict=True):
                assert decision.answer.label == alone.answer.label
                assert len(decision.steps) == len(alone.steps)
            with pytest.raises(RequestError) as refused:
                await inference.infer(request("enormous"), Caller("2"))
            assert refused.value.reason == Reason.UNKNOWN_MODEL
        finally:
            await inference.stop(1)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("caller", "unit"),
    [
        (Caller("1", user="ada"), "ada"),
        (Caller("2", header=lambda name: {"x-user-id": "bob"}.get(name.lower())), "bob"),
        (Caller("3"), None),
    ],
)
def test_callers_get_variants_and_are_recorded(
    calibrated: Checkpoint, tmp_path: Path, caller: Caller, unit: str | None
) -> None:
    record = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    source: Any = {"header": "X-User-Id"} if caller.user is None else "user"
    declared = experiment(start="2026-01-01T00:00:00Z", end=None, unit=source)
    declare(record, {"experiments": [declared]}, known_of(calibrated, "float32"), datetime.now(UTC))

    async def main() -> list[Any]:
        executor = InProcessExecutor(TorchRunner(calibrated))
        inference = assemble(executor, Settings(), lambda *_: executor, record)
        await inference.start()
        answers = await inference.infer(request(), caller)
        await inference.stop(30)
        return [decision.variants for decision in answers.decisions]

    variants = asyncio.run(main())
    assert all(bool(each) == (unit is not None) for each in variants)
    again = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    with transaction(again) as connection:
        found = connection.execute(select(exposures.c.unit, exposures.c.request_id)).all()
    again.dispose()
    assert [tuple(row) for row in found] == ([(unit, caller.id)] if unit else [])


def test_requests_that_are_not_answered_are_recorded(
    calibrated: Checkpoint, tmp_path: Path
) -> None:
    """Whether the server refuses them, or the client leaves."""
    record = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    declared = experiment(start="2026-01-01T00:00:00Z", end=None, unit="request")
    declare(record, {"experiments": [declared]}, known_of(calibrated, "float32"), datetime.now(UTC))

    async def main() -> None:
        executor = InProcessExecutor(TorchRunner(calibrated))
        inference = assemble(executor, Settings(), lambda *_: executor, record)
        await inference.start()
        unmeetable = InferenceRequest(request().inputs, RequestConstraints(max_cost=1e-9))
        with pytest.raises(RequestError):
            await inference.infer(unmeetable, Caller("refused"))
        leaving = asyncio.create_task(inference.infer(request(), Caller("gone")))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await inference.stop(30)

    asyncio.run(main())
    record = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    with transaction(record) as connection:
        rows = connection.execute(select(exposures.c.request_id, exposures.c.status))
        found = {row.request_id: row.status for row in rows}
    record.dispose()
    assert found == {"refused": Reason.UNMEETABLE.status, "gone": Reason.CLIENT_GONE.status}


def test_inference_knows_no_http() -> None:
    code = (
        "import sys, nestling.server.core.inference, nestling.server.build\n"
        "sys.exit(bool({'starlette', 'fastapi', 'uvicorn', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
