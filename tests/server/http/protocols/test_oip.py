"""The Open Inference Protocol, asked by Triton's own client."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from nestling.models import Checkpoint

from ...serving import Server

NAMES = ["auto", "all", "short", "tiny", "small", "ta"]
OUTPUTS = ["label", "score", "probabilities", "student", "cost"]


@pytest.fixture(scope="module")
def triton(server: Server) -> Iterator[Any]:
    with InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def text_input(texts: list[str], binary: bool = True, column: bool = False) -> Any:
    values = np.array([text.encode() for text in texts], dtype=np.object_)
    values = values[:, None] if column else values
    tensor = InferInput("text", values.shape, "BYTES")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def id_inputs(rows: list[list[int]], binary: bool = True, pad: int = 0) -> list[Any]:
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    ids = np.full((len(rows), lengths.max()), pad, dtype=np.int64)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = tokens
    tensors = []
    for name, values in (("input_ids", ids), ("lengths", lengths)):
        tensor = InferInput(name, values.shape, "INT64")
        tensor.set_data_from_numpy(values, binary_data=binary)
        tensors.append(tensor)
    return tensors


def wanted(names: list[str], binary: bool) -> list[Any]:
    return [InferRequestedOutput(name, binary_data=binary) for name in names]


def check(
    result: Any, server: Server, texts: list[str], checkpoint: Checkpoint, model: str
) -> None:
    """The same answers as the native protocol's."""
    labels = checkpoint.architecture.head().labels
    expected = server.classify(texts, model=model)
    found = {name: result.as_numpy(name) for name in OUTPUTS}
    assert [label.decode() if isinstance(label, bytes) else label for label in found["label"]] == [
        answer["label"] for answer in expected
    ]
    assert found["score"].dtype == np.float32
    assert found["score"] == pytest.approx([a["score"] for a in expected], abs=1e-5)
    students = [s.decode() if isinstance(s, bytes) else s for s in found["student"]]
    assert students == [answer["decision"]["student"] for answer in expected]
    costs = [answer["decision"]["relative_cost"] for answer in expected]
    assert found["cost"] == pytest.approx(costs, rel=1e-3)
    assert found["probabilities"].shape == (len(texts), len(labels))
    assert found["probabilities"].max(axis=1) == pytest.approx(found["score"], abs=1e-5)
    assert found["probabilities"].sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_server_and_models_present_themselves(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    metadata = triton.get_server_metadata()
    assert metadata["name"] == "nestling"
    assert metadata["extensions"] == ["binary_tensor_data"]
    index = triton.get_model_repository_index()
    assert [entry["name"] for entry in index] == NAMES
    assert {entry["state"] for entry in index} == {"READY"}
    for name, version in product(NAMES, ("", "1")):
        assert triton.is_model_ready(name, version)
        metadata = triton.get_model_metadata(name, version)
        assert (metadata["name"], metadata["versions"]) == (name, ["1"])
        assert [(i["name"], i["datatype"], i["shape"]) for i in metadata["inputs"]] == [
            ("text", "BYTES", [-1]),
            ("input_ids", "INT64", [-1, -1]),
            ("lengths", "INT64", [-1]),
        ]
        assert [o["name"] for o in metadata["outputs"]] == OUTPUTS
        assert metadata["outputs"][2]["shape"] == [-1, 5]
    assert not triton.is_model_ready("huge")
    assert not triton.is_model_ready("tiny", "2")


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize(("sent", "received"), list(product([True, False], repeat=2)))
def test_texts(
    triton: Any,
    server: Server,
    calibrated: Checkpoint,
    texts: list[str],
    model: str,
    sent: bool,
    received: bool,
) -> None:
    some = [*texts[:6], "Grüße 你好 🦆"]
    result = triton.infer(
        model, [text_input(some, sent)], outputs=wanted(OUTPUTS, received), request_id="r-1"
    )
    check(result, server, some, calibrated, model)
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == (
        "r-1",
        model,
        "1",
    )
    assert all(("data" in output) != received for output in response["outputs"])


def test_a_column_of_texts_and_all_outputs(
    triton: Any, server: Server, calibrated: Checkpoint, texts: list[str]
) -> None:
    for binary in (True, False):
        result = triton.infer("auto", [text_input(texts[:3], binary, column=True)])
        check(result, server, texts[:3], calibrated, "auto")
        assert result.as_numpy("label").shape == (3,)


@pytest.mark.parametrize(("sent", "received"), list(product([True, False], repeat=2)))
def test_token_ids(
    triton: Any,
    server: Server,
    calibrated: Checkpoint,
    texts: list[str],
    sent: bool,
    received: bool,
) -> None:
    rows = calibrated.tokenizer.encode(texts[:9])
    for pad in (0, -100):  # beyond its length nobody looks at a row
        inputs = id_inputs(rows, sent, pad)
        result = triton.infer("auto", inputs, "1", outputs=wanted(OUTPUTS, received))
        check(result, server, texts[:9], calibrated, "auto")


def test_outputs_selects_and_mixes(triton: Any, texts: list[str]) -> None:
    outputs = [*wanted(["student"], True), *wanted(["score"], False), *wanted(["label"], True)]
    result = triton.infer("ta", [text_input(texts[:2])], outputs=outputs)
    response = result.get_response()
    assert [output["name"] for output in response["outputs"]] == ["student", "score", "label"]
    assert "id" not in response
    assert list(result.as_numpy("student")) == [b"ta", b"ta"]
    assert result.as_numpy("score").shape == (2,)
    assert result.as_numpy("cost") is None


def test_parameters_are_the_contract(triton: Any, texts: list[str]) -> None:
    def students(**parameters: float) -> list[bytes]:
        result = triton.infer("all", [text_input(texts[:20])], parameters=parameters)
        return list(result.as_numpy("student"))

    assert set(students(min_confidence=1.0)) == {b"ta"}
    assert set(students(deadline_ms=60_000.0)) == {b"tiny", b"small", b"ta"}
    assert set(students(max_cost=0.5)) <= {b"tiny", b"small"}
    for parameters, message in (
        ({"max_cost": 1e-6}, "max_cost: 1e-06 of the TA's cost"),
        ({"deadline_ms": -1.0}, "deadline_ms: -1; it must be above 0"),
        ({"dedline_ms": 5.0}, "parameters.dedline_ms: unknown; known are deadline_ms"),
    ):
        with pytest.raises(InferenceServerException, match=message) as refusal:
            students(**parameters)
        assert refusal.value.status() == "400"


def test_refusals_reach_the_client(triton: Any, calibrated: Checkpoint) -> None:
    vocabulary = calibrated.architecture.vocabulary
    ids, lengths = id_inputs([[2, 5, 3]])
    long = InferInput("lengths", (1,), "INT64")
    long.set_data_from_numpy(np.array([4], dtype=np.int64))
    for model, inputs, status, message in (
        ("huge", [text_input(["a"])], "404", "model: 'huge' is none of auto, all, short"),
        ("tiny", [text_input(["a", " "])], "400", r"text\[1\]: an empty text"),
        ("tiny", [text_input(["alarm " * 50])], "400", r"text\[0\]: 52 tokens; the limit is 40"),
        ("tiny", id_inputs([[2] * 41]), "400", r"input_ids\[0\]: 41 tokens; the limit is 40"),
        ("tiny", id_inputs([[2], [2, vocabulary]]), "400", r"input_ids\[1\]: token id"),
        ("tiny", id_inputs([[2, -1]], binary=False), "400", r"input_ids\[0\]: token id -1"),
        ("tiny", [ids], "400", "lengths: missing"),
        ("tiny", [lengths], "400", "neither `text` nor `input_ids`"),
        ("tiny", [ids, long], "400", r"lengths\[0\]: 4; a row of input_ids has from 1 to 3"),
        ("tiny", [text_input(["a"]), ids, lengths], "400", "either `text`, or"),
        ("tiny", [text_input(["a"]), text_input(["b"])], "400", "text: given twice"),
    ):
        with pytest.raises(InferenceServerException, match=message) as refusal:
            triton.infer(model, inputs)
        assert refusal.value.status() == status
    with pytest.raises(InferenceServerException, match="version: '2'") as refusal:
        triton.infer("tiny", [text_input(["a"])], "2")
    assert refusal.value.status() == "404"
    with pytest.raises(InferenceServerException, match="'nothing' is none of label, score"):
        triton.infer("tiny", [text_input(["a"])], outputs=wanted(["nothing"], True))
    best = InferRequestedOutput("label", class_count=2)
    with pytest.raises(InferenceServerException, match=r"outputs.*classification: unknown"):
        triton.infer("tiny", [text_input(["a"])], outputs=[best])


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_a_compressed_body_is_refused_as_such(triton: Any, algorithm: str) -> None:
    with pytest.raises(
        InferenceServerException, match=f"Content-Encoding: '{algorithm}'"
    ) as refusal:
        triton.infer("tiny", [text_input(["a"])], request_compression_algorithm=algorithm)
    assert refusal.value.status() == "415"
