"""A server of a checkpoint that is asked about pairs of texts, over every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nestling.models import Cascade, Checkpoint, Predictor, Stage, load_checkpoint
from nestling.models.checkpoint.save import write_calibration

from ....conftest import pair_architecture, write_tiny
from ...serving import Server, serve

FIRST, SECOND = "play some music", "what is the weather in french"
PAIR = {"text": FIRST, "text_pair": SECOND}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Its cascade always asks the TA in the end."""
    path = write_tiny(tmp_path_factory.mktemp("pairs") / "pairs", pair_architecture())
    loaded = load_checkpoint(path)
    stages = Stage(loaded.students["tiny"], 1.0), Stage(loaded.ta, 0.0)
    write_calibration(loaded, {}, {"all": Cascade("all", stages)}, "all")
    return load_checkpoint(path)


@pytest.fixture(scope="module", params=["torch", "onnx"])
def answering(
    pairs: Checkpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log"
    flags = ("--runner", request.param, "--shadow", "1", "--shadow-texts", "--answer-cache", "64")
    shadow = log.with_name("shadow.jsonl")
    with serve(pairs.path, log, *flags, "--shadow-log", str(shadow)) as running:
        running.shadow_log = shadow  # type: ignore[attr-defined]
        yield running


@pytest.fixture(scope="module")
def wanted(pairs: Checkpoint) -> float:
    """How sure the TA is of the pair; of the two texts the other way round it is not as sure."""
    [decision, turned] = Predictor(pairs, "ta").predict([(FIRST, SECOND), (SECOND, FIRST)])
    assert abs(decision.answer.confidence - turned.answer.confidence) > 1e-3
    return decision.answer.confidence


def test_natively(answering: Server, wanted: float) -> None:
    ask = answering.client.post
    one = ask("/v1/classify", json={"inputs": PAIR, "model": "ta"}).json()
    assert one["score"] == pytest.approx(wanted, abs=1e-5)
    turned = {"text": SECOND, "text_pair": FIRST}
    for _ in range(2):  # the second time out of the cache
        both = ask("/v1/classify", json={"inputs": [PAIR, turned], "model": "ta"}).json()
        assert both[0]["score"] == pytest.approx(wanted, abs=1e-5)
        assert abs(both[1]["score"] - both[0]["score"]) > 1e-3
    assert ask("/v1/classify", json={"inputs": [PAIR], "model": "ta"}).json()[0]["decision"][
        "cached"
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/ta", {"inputs": [PAIR]}),
        ("/predict", {"inputs": [FIRST, SECOND]}),
        ("/predict", {"inputs": [[FIRST, SECOND], [SECOND, FIRST]]}),
    ],
)
def test_hugging_face_and_tei(answering: Server, wanted: float, path: str, body: Any) -> None:
    found = answering.client.post(path, json=body).json()
    rows = found if isinstance(found[0], list) else [found]
    assert rows[0][0]["score"] == pytest.approx(wanted, abs=1e-5)
    assert len(rows) == (2 if isinstance(body["inputs"][0], list) else 1)


@pytest.mark.parametrize("flat", [True, False])
def test_open_inference(answering: Server, wanted: float, flat: bool) -> None:
    data = [FIRST, SECOND, SECOND, FIRST] if flat else [[FIRST, SECOND], [SECOND, FIRST]]
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2, 2], "data": data}
    found = answering.client.post("/v2/models/ta/infer", json={"inputs": [tensor]}).json()
    [scores] = [each["data"] for each in found["outputs"] if each["name"] == "score"]
    assert scores[0] == pytest.approx(wanted, abs=1e-5)
    assert len(scores) == 2
    [text, *_] = answering.client.get("/v2/models/ta").json()["inputs"]
    assert text["shape"] == [-1, 2]


def test_open_inference_in_binary(answering: Server, wanted: float) -> None:
    texts = [each.encode() for each in (FIRST, SECOND, SECOND, FIRST)]
    raw = b"".join(len(each).to_bytes(4, "little") + each for each in texts)
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2, 2]}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]})
    found = answering.client.post(
        "/v2/models/ta/infer",
        content=head.encode() + raw,
        headers={"Inference-Header-Content-Length": str(len(head))},
    ).json()
    [scores] = [each["data"] for each in found["outputs"] if each["name"] == "score"]
    assert scores[0] == pytest.approx(wanted, abs=1e-5)
    assert len(scores) == 2


def test_token_ids_of_both(answering: Server, pairs: Checkpoint, wanted: float) -> None:
    [ids] = pairs.tokenizer.encode([(FIRST, SECOND)])
    tensors = [
        {"name": "input_ids", "datatype": "INT64", "shape": [1, len(ids)], "data": ids},
        {"name": "lengths", "datatype": "INT64", "shape": [1], "data": [len(ids)]},
    ]
    found = answering.client.post("/v2/models/ta/infer", json={"inputs": tensors}).json()
    [scores] = [each["data"] for each in found["outputs"] if each["name"] == "score"]
    assert scores == [pytest.approx(wanted, abs=1e-5)]


@pytest.mark.parametrize(
    ("path", "inputs", "message"),
    [
        ("/v1/classify", FIRST, "inputs: one text; this checkpoint is asked about pairs"),
        ("/v1/classify", [FIRST], "inputs[0]: one text; this checkpoint is asked about pairs"),
        ("/v1/classify", {"text": FIRST}, "inputs.text_pair: missing"),
        ("/v1/classify", [PAIR, {"text": FIRST}], "inputs[1].text_pair: missing"),
        ("/v1/classify", [PAIR, FIRST], "inputs[1]: expected an object, got a string"),
        ("/v1/classify", {**PAIR, "label": 1}, "inputs.label: unknown; known are text, text_pair"),
        ("/v1/classify", {"text": FIRST, "text_pair": " "}, "inputs: an empty text"),
        (
            "/v1/classify",
            {"text": "a " * 30, "text_pair": "b " * 30},
            "inputs: 63 tokens; the limit",
        ),
        ("/", FIRST, "inputs: one text; this checkpoint is asked about pairs"),
        ("/predict", FIRST, "inputs: one text; this checkpoint is asked about pairs"),
        (
            "/predict",
            [["a", "b", "c"]],
            "inputs[0]: 3 texts, where this protocol has one text or a",
        ),
    ],
)
def test_refusals(answering: Server, path: str, inputs: Any, message: str) -> None:
    response = answering.client.post(path, json={"inputs": inputs})
    assert response.status_code == 422 or "limit" in message
    error = response.json()["error"]
    said = error if isinstance(error, str) else error["message"]
    assert said.startswith(message)


def test_a_checkpoint_of_single_texts_is_asked_about_no_pairs(server: Server) -> None:
    response = server.client.post("/v1/classify", json={"inputs": [PAIR]})
    assert response.status_code == 422
    assert "one text at a time" in response.json()["error"]["message"]


def test_a_pair_is_logged_as_it_came(answering: Server) -> None:
    answering.client.post("/v1/classify", json={"inputs": {"text": "money", "text_pair": "six"}})
    log: Path = answering.shadow_log  # type: ignore[attr-defined]
    for _ in range(200):
        rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        if any((row.get("text"), row.get("text_pair")) == ("money", "six") for row in rows):
            return
        answering.client.get("/health")
    raise AssertionError("not logged")


def test_models_say_what_they_are_asked_about(answering: Server, server: Server) -> None:
    assert answering.client.get("/v1/models").json()["inputs"] == "pair"
    assert server.client.get("/v1/models").json()["inputs"] == "text"
