"""`/info` and the errors of `/predict`, as text-embeddings-inference has them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from nestling.models import Checkpoint
from nestling.server.errors import Reason, RequestError
from nestling.server.http.protocols.tei import TEI

from ...serving import STUB, Server

LONG = "alarm " * 50


def test_info(server: Server, calibrated: Checkpoint) -> None:
    body = server.client.get("/info").json()
    labels = calibrated.architecture.head().labels
    classifier = body.pop("model_type")["classifier"]
    assert classifier["id2label"] == {str(i): label for i, label in enumerate(labels)}
    assert classifier["label2id"] == {label: i for i, label in enumerate(labels)}
    assert body.pop("version")
    assert body == {
        "model_id": "tiny-intents",
        "model_sha": calibrated.weights_sha256,
        "model_dtype": "float32",
        "max_concurrent_requests": 8192,
        "max_input_length": 40,
        "max_batch_tokens": 16384,
        "max_batch_requests": 256,
        "max_client_batch_size": 1024,
        "auto_truncate": False,
        "tokenization_workers": 2,
        "sha": None,
        "docker_label": None,
    }


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        ({"inputs": ["a", "b"]}, 422, "Validation", "inputs: 2 texts are a pair in this protocol"),
        ({"inputs": [["a"], ["b", "c"]]}, 422, "Validation", "inputs: texts and pairs"),
        ({"inputs": [["a"], "b"]}, 422, "Validation", "inputs[1]: expected a list with one text"),
        ({"inputs": ["a", ["b"]]}, 422, "Validation", "inputs[1]: expected a string"),
        (
            {"inputs": "a", "truncation_direction": "Left"},
            422,
            "Validation",
            "truncation_direction: 'Left'; a text is cut at its end only, which is 'Right'",
        ),
        ({"inputs": [["a"], []]}, 400, "Empty", "inputs[1]: 0 texts"),
        ({"inputs": []}, 400, "Empty", "inputs: an empty list"),
        ({"inputs": " "}, 400, "Empty", "inputs: an empty text"),
        ({"inputs": [["a"], [1]]}, 422, "Validation", "inputs[1][0]: expected a string"),
        ({"inputs": "a", "truncate": 1}, 422, "Validation", "truncate: expected a boolean"),
        ({"inputs": "a", "raw_scores": "yes"}, 422, "Validation", "raw_scores: expected a"),
        ({"inputs": "a", "model": "tiny"}, 422, "Validation", "model: unknown"),
        ({"inputs": LONG}, 413, "Validation", "inputs: 52 tokens; the limit is 40"),
        ({"inputs": [["a"]] * 1025}, 413, "Validation", "inputs: 1025 texts; the limit is 1024"),
        ({}, 422, "Validation", "inputs: missing"),
    ],
)
def test_refusals(server: Server, body: object, status: int, kind: str, message: str) -> None:
    response = server.client.post("/predict", json=body)
    assert response.status_code == status, response.text
    found = response.json()
    assert found.keys() == {"error", "error_type"}
    assert found["error_type"] == kind
    assert found["error"].startswith(message)


def test_what_its_clients_send_along(server: Server) -> None:
    plain = server.client.post("/predict", json={"inputs": "alarm"}).json()
    more = {"truncate": None, "truncation_direction": "Right", "raw_scores": False}
    assert server.client.post("/predict", json={"inputs": "alarm", **more}).json() == plain


def test_bodies_and_methods(server: Server) -> None:
    for response, status in (
        (server.client.post("/predict", content=b"{"), 400),
        (server.client.post("/predict", content=b" " * (9 * 2**20)), 413),
        (server.client.get("/predict"), 405),
        (server.client.post("/info"), 405),
    ):
        assert response.status_code == status
        assert response.json()["error_type"] == "Validation"


def test_overload_and_a_broken_backend(calibrated_dir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    batch = {"inputs": [["a"]] * 4}
    with (
        Server([*STUB, str(calibrated_dir), str(gate), "4"], tmp_path / "log") as stub,
        ThreadPoolExecutor(1) as clients,
    ):
        gate.unlink()
        running = clients.submit(httpx.post, f"{stub.url}/predict", json=batch, timeout=60)
        while not stub.metrics()["nestling_requests_running"]:
            time.sleep(0.01)
        refused = stub.client.post("/predict", json=batch)
        gate.touch()
        assert running.result().status_code == 200
    assert refused.status_code == 429
    assert refused.json()["error_type"] == "Overloaded"
    assert refused.headers["Retry-After"] == "1"
    broken = RequestError(Reason.INTERNAL, "internal error")
    assert TEI.status(broken.reason) == 424
    assert TEI.body(broken) == {"error": "internal error", "error_type": "Backend"}
