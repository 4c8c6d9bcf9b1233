"""OpenAI's protocol, asked by OpenAI's own client."""

from __future__ import annotations

import shutil
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from nestling.models import Checkpoint

from ...serving import Server, serve

TEXTS = ["how do i say goodbye in french", "play some music", "alarm"]
NAMES = ["auto", "all", "short", "tiny", "small", "ta"]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def vectors(response: Any) -> np.ndarray[Any, Any]:
    assert [item.index for item in response.data] == list(range(len(response.data)))
    return np.array([item.embedding for item in response.data], np.float32)


def test_models(client: openai.OpenAI, server: Server, calibrated: Checkpoint) -> None:
    listed = list(client.models.list())
    assert [model.id for model in listed] == NAMES
    for model in listed:
        assert (model.object, model.owned_by) == ("model", "nestling")
        assert model.created > 1_700_000_000
        assert client.models.retrieve(model.id) == model
    entries = {model.id: model.model_dump() for model in listed}
    assert entries["tiny"]["parameters"] == calibrated.students["tiny"].parameters
    assert entries["tiny"]["flops"]["at_16_tokens"] == calibrated.students["tiny"].flops.of(16)
    assert [stage["student"] for stage in entries["short"]["stages"]] == ["tiny", "ta"]


def test_a_version_is_that_of_weights_and_thresholds(
    server: Server, calibrated: Checkpoint
) -> None:
    body = server.client.get("/v1/models").json()
    versions = {entry["id"]: entry["version"] for entry in body["data"]}
    assert versions.pop("auto") == versions["all"]
    assert len(set(versions.values())) == len(versions)
    assert all(v.startswith(calibrated.weights_sha256[:12] + "-") for v in versions.values())


def test_models_are_known_when_their_directory_has_gone(
    calibrated_dir: Path, tmp_path: Path
) -> None:
    """A deployment may replace it long before the server is told to reload."""
    served = shutil.copytree(calibrated_dir, tmp_path / "served")
    with serve(served, tmp_path / "log") as server:
        before = server.client.get("/v1/models").json()
        shutil.rmtree(served)
        response = server.client.get("/v1/models")
        assert (response.status_code, response.json()) == (200, before)
        assert server.classify("alarm")


def test_an_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="'huge' is none of auto") as refusal:
        client.models.retrieve("huge")
    error = refusal.value
    assert (error.type, error.param, error.code) == (
        "invalid_request_error",
        "model",
        "model_not_found",
    )


@pytest.mark.parametrize("model", NAMES)
def test_embeddings(client: openai.OpenAI, server: Server, model: str) -> None:
    """The client asks for base64 unless told otherwise."""
    response = client.embeddings.create(model=model, input=TEXTS)
    assert response.model == model
    found = vectors(response)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    floats = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")
    assert vectors(floats) == pytest.approx(found, abs=1e-6)
    tokens = sum(answer["decision"]["tokens"] for answer in server.classify(TEXTS))
    assert response.usage.prompt_tokens == response.usage.total_tokens == tokens
    alone = client.embeddings.create(model=model, input=TEXTS[1], user="somebody")
    assert vectors(alone)[0] == pytest.approx(found[1], abs=1e-5)


def test_token_ids_stand_for_their_text(client: openai.OpenAI, calibrated: Checkpoint) -> None:
    ids = calibrated.tokenizer.encode(TEXTS)
    found = vectors(client.embeddings.create(model="ta", input=ids))
    assert found == pytest.approx(vectors(client.embeddings.create(model="ta", input=TEXTS)))
    one = vectors(client.embeddings.create(model="ta", input=ids[2]))
    assert one[0] == pytest.approx(found[2], abs=1e-5)


def test_fewer_dimensions_are_a_prefix(client: openai.OpenAI) -> None:
    whole = vectors(client.embeddings.create(model="ta", input=TEXTS))
    short = vectors(client.embeddings.create(model="ta", input=TEXTS, dimensions=8))
    expected = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    assert short == pytest.approx(expected, abs=1e-5)


def test_base64_is_little_endian_float32(server: Server) -> None:
    body = {"input": TEXTS[0], "encoding_format": "base64"}
    text = server.client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    plain = server.client.post("/v1/embeddings", json={"input": TEXTS[0]}).json()
    expected = plain["data"][0]["embedding"]
    assert np.frombuffer(b64decode(text), "<f4") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "param", "code", "message"),
    [
        ({"input": ""}, "input", "empty", "input: an empty text"),
        ({"input": []}, "input", "empty", "input: an empty list"),
        ({"input": ["a", " "]}, "input[1]", "empty", "input[1]: an empty text"),
        (
            {"input": [[]]},
            "input[0]",
            "empty",
            "input[0]: an empty list; expected at least one tok",
        ),
        ({"input": ["a", [2]]}, "input[1]", "wrong_type", "input[1]: expected a string, got a l"),
        ({"input": [2, "a"]}, "input[1]", "wrong_type", "input[1]: expected an integer, got a s"),
        ({"input": [2, 2**64]}, "input[1]", "wrong_type", "input[1]: expected an integer, got a n"),
        ({"input": [[2], "a"]}, "input[1]", "wrong_type", "input[1]: expected a list of token ids"),
        ({"input": [[2], [3, True]]}, "input[1][1]", "wrong_type", "input[1][1]: expected an int"),
        ({"input": [True]}, "input[0]", "wrong_type", "input[0]: expected a string, got a bool"),
        ({"input": [[2]] * 1025}, "input", "too_many", "input: 1025 texts; the limit is 1024"),
        ({"input": {"a": 1}}, "input", "wrong_type", "input: expected a string or a list"),
        ({"input": None}, "input", "wrong_type", "input: expected a string or a list"),
        ({"input": "alarm " * 50}, "input", "too_long", "input: 52 tokens; the limit is 40"),
        ({"input": [2] * 41}, "input", "too_long", "input: 41 tokens; the limit is 40"),
        ({"input": [[2], [9999]]}, "input[1]", "out_of_range", "input[1]: token id 9999"),
        ({"input": [-1]}, "input", "out_of_range", "input: token id -1"),
        ({"input": [2**63]}, "input", "out_of_range", "input: an integer beyond INT64"),
        ({"input": ["a"] * 1025}, "input", "too_many", "input: 1025 texts; the limit is 1024"),
        ({"encoding_format": "int8"}, "encoding_format", "out_of_range", "encoding_format: 'int8'"),
        ({"dimensions": 0}, "dimensions", "out_of_range", "dimensions: 0; 'ta' has from 1 to 32"),
        ({"dimensions": 33}, "dimensions", "out_of_range", "dimensions: 33;"),
        ({"dimensions": "8"}, "dimensions", "wrong_type", "dimensions: expected an integer"),
        ({"model": 5}, "model", "wrong_type", "model: expected a string, got a number"),
        ({"inputs": "a"}, "inputs", "unknown_field", "inputs: unknown; known are input, model"),
    ],
)
def test_refusals(
    client: openai.OpenAI, fields: dict[str, Any], param: str, code: str, message: str
) -> None:
    body = {"input": "a", "model": "auto", **fields}
    with pytest.raises(openai.BadRequestError) as refusal:
        client.post("/embeddings", body=body, cast_to=object)
    error = refusal.value
    assert (error.type, error.param, error.code) == ("invalid_request_error", param, code)
    assert isinstance(error.body, dict)
    assert error.body["message"].startswith(message)


def test_lost_ways_in_the_same_form(client: openai.OpenAI, server: Server) -> None:
    with pytest.raises(openai.NotFoundError) as lost:
        client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "a"}])
    assert (lost.value.code, lost.value.type) == ("not_found", "invalid_request_error")
    with pytest.raises(openai.NotFoundError, match="'huge' is none of"):
        client.embeddings.create(model="huge", input="a")
    for response, status in (
        (server.client.get("/v1/embeddings"), 405),
        (server.client.post("/v1/embeddings", content=b""), 400),
        (server.client.post("/v1/embeddings", content=b" " * (9 * 2**20)), 413),
    ):
        assert response.status_code == status
        assert response.json()["error"].keys() == {"message", "type", "param", "code"}
