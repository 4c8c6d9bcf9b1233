"""A model that says what is no number: no protocol repeats it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select
from starlette.testclient import TestClient

from nestling.experiments.apply import declare
from nestling.experiments.runtime import known_of
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.schema import exposures
from nestling.models import Checkpoint
from nestling.models.runners.base import ForwardBatch, ForwardOutput
from nestling.models.runners.scheduled import not_finite
from nestling.models.runners.torch import TorchRunner
from nestling.server.build import assemble
from nestling.server.engine.in_process import InProcessExecutor
from nestling.server.http.app import create_app
from nestling.server.settings import Settings

from ...experiments.declared import experiment

POISON, FINE = "alarm", "play some music"
TEXT = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [POISON]}
ASKED: dict[str, dict[str, Any]] = {
    "/v1/classify": {"inputs": POISON},
    "/": {"inputs": POISON},
    "/models/tiny": {"inputs": POISON, "parameters": {"function_to_apply": "none"}},
    "/predict": {"inputs": POISON, "raw_scores": True},
    "/v1/embeddings": {"input": POISON},
    "/v2/models/auto/infer": {"inputs": [TEXT]},
    "/v2/models/ta/infer": {"inputs": [TEXT], "parameters": {"binary_data_output": True}},
}


class Broken(TorchRunner):
    """Says NaN, or infinity where the text is long, of what holds the poison."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.poison = checkpoint.tokenizer.encode([POISON])[0][1]

    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        found = super().forward(batch)
        for index, ids in enumerate(batch.sequences):
            if self.poison in ids:
                found.logits[index, 0] = np.inf if len(ids) > 4 else np.nan
                found.confidences[index] = float("nan")
        return found

    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        found = super().embed(sequences, student, dimensions)
        for index, ids in enumerate(sequences):
            if self.poison in ids:
                found[index, 0] = np.nan
        return found


@pytest.fixture
def record(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def client(calibrated: Checkpoint, record: str) -> Iterator[TestClient]:
    executor = InProcessExecutor(Broken(calibrated))
    engine = open_database(record)
    declared = experiment(start="2026-01-01T00:00:00Z", end=None)
    declare(engine, {"experiments": [declared]}, known_of(calibrated, "float32"), datetime.now(UTC))
    settings = Settings(answer_cache=100, target_delay_ms=0, store=record)
    app = create_app(assemble(executor, settings, lambda *_: executor, engine), settings)
    with TestClient(app) as found:
        yield found


def test_every_protocol_answers_500(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for path, body in ASKED.items():
        for _ in range(2):  # nothing of it is kept
            response = client.post(path, json=body, headers={"X-User-Id": "ada"})
            assert response.status_code == (424 if path == "/predict" else 500), response.text
            assert "internal error; the server's log has it as" in response.text
        fine = json.dumps(body).replace(POISON, FINE)
        assert client.post(path, content=fine).status_code == 200
    long = client.post("/v1/classify", json={"inputs": [FINE, f"{POISON} for six {FINE}"]})
    assert long.status_code == 500
    assert "not finite" in caplog.text
    assert "NoneType: None" not in caplog.text
    counted = client.get("/metrics").text
    assert f'nestling_errors_total{{reason="internal"}} {2 * len(ASKED) + 1}.0' in counted
    assert "NaN" not in counted


def test_only_the_texts_it_is_said_of_fail(client: TestClient) -> None:
    [good] = client.post("/v1/classify", json={"inputs": [FINE]}).json()
    assert 0 < good["score"] <= 1
    assert good["decision"]["path"][-1]["accepted"]


def test_no_exposure_holds_it(client: TestClient, record: str) -> None:
    for text in (POISON, FINE):
        client.post("/v1/classify", json={"inputs": text}, headers={"X-User-Id": "ada"})
    engine = open_database(record)
    deadline, rows = monotonic() + 60, {}
    while len(rows) < 2:
        assert monotonic() < deadline
        sleep(0.02)
        with transaction(engine) as connection:
            rows = {row.status: row for row in connection.execute(select(exposures))}
    engine.dispose()
    assert (rows[500].label, rows[500].confidence, rows[500].path) == (None, None, [])
    assert rows[200].label
    assert 0 < rows[200].confidence <= 1


def test_which_sequences_are_broken() -> None:
    def verdicts(logits: list[list[float]], confidences: list[float]) -> ForwardOutput:
        count = len(logits)
        return ForwardOutput(
            [0] * count,
            confidences,
            confidences,
            [True] * count,
            confidences,
            [True] * count,
            np.array(logits, np.float32),
            0.1,
        )

    nan, inf = float("nan"), float("inf")
    assert not_finite(verdicts([[1, 2], [3, 4]], [0.5, 0.6])) == []
    assert not_finite(verdicts([[1, 2], [nan, 4], [inf, 0], [-inf, 1]], [0.5] * 4)) == [1, 2, 3]
    assert not_finite(verdicts([[1, 2], [3, 4]], [0.5, nan])) == [1]
    assert not_finite(verdicts([[3e38, 3e38], [3e38, 1]], [0.5, 0.5])) == []
