"""What every protocol that takes texts has in common: their limits, and what is no text."""

from __future__ import annotations

import json
from collections.abc import Callable
from struct import pack
from typing import Any

import httpx
import pytest

from ..serving import Server

MOST = 128 * 40
"""Characters of a text, of the 40 tokens that the checkpoint takes."""
NOTHING = [
    "\u0000", "\u0007\u200b", "\u200b", "\ufeff", "\u00ad", "\ufe0f", "\u0301\u0302", "\u2028",
    "\ufffd", "\u202e\u2066", "\ue000", " \t\u3000",
]  # fmt: skip
Send = Callable[..., httpx.Response]


def classify(server: Server, text: str) -> httpx.Response:
    return server.client.post("/v1/classify", json={"inputs": text})


def classify_list(server: Server, text: str) -> httpx.Response:
    return server.client.post("/v1/classify", json={"inputs": ["alarm", text]})


def embeddings(server: Server, text: str) -> httpx.Response:
    return server.client.post("/v1/embeddings", json={"input": text})


def hugging_face(server: Server, text: str, **parameters: Any) -> httpx.Response:
    return server.client.post("/", json={"inputs": text, "parameters": parameters})


def hugging_face_model(server: Server, text: str) -> httpx.Response:
    return server.client.post("/models/ta", json={"inputs": text})


def tei(server: Server, text: str, **fields: Any) -> httpx.Response:
    return server.client.post("/predict", json={"inputs": text, **fields})


def oip(server: Server, text: str) -> httpx.Response:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    return server.client.post("/v2/models/auto/infer", json={"inputs": [tensor]})


def oip_binary(server: Server, text: str) -> httpx.Response:
    raw = pack("<I", len(text.encode())) + text.encode()
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1]}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [tensor]}).encode()
    return server.client.post(
        "/v2/models/auto/infer",
        content=head + raw,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )


PROTOCOLS: dict[Send, tuple[str, int]] = {
    classify: ("inputs", 422),
    classify_list: ("inputs[1]", 422),
    embeddings: ("input", 400),
    hugging_face: ("inputs", 422),
    hugging_face_model: ("inputs", 422),
    tei: ("inputs", 413),
    oip: ("text[0]", 400),
    oip_binary: ("text[0]", 400),
}
"""Each with what it calls the text, and the status of a too long one."""


def message(response: httpx.Response) -> str:
    """Whatever form the error has."""
    error = response.json()["error"]
    found: str = error["message"] if isinstance(error, dict) else error
    return found


@pytest.mark.parametrize("send", PROTOCOLS)
def test_a_text_of_too_many_characters_is_refused_untokenised(server: Server, send: Send) -> None:
    field, status = PROTOCOLS[send]
    tokenised = "nestling_tokenize_duration_seconds_count"
    before = server.metrics()[tokenised]
    for length in (MOST + 1, 5_000_000):
        response = send(server, "a" * length)
        assert response.status_code == status
        assert message(response) == f"{field}: {length} characters; the limit is {MOST}"
    assert server.metrics()[tokenised] == before
    assert send(server, "alarm" + " " * (MOST - 5)).status_code == 200


@pytest.mark.parametrize("send", PROTOCOLS)
def test_a_text_of_which_nothing_is_left_is_empty(server: Server, send: Send) -> None:
    field, status = PROTOCOLS[send]
    for text in ("", " ", *NOTHING):
        response = send(server, text)
        assert response.status_code == (400 if send is tei else status), ascii(text)
        assert message(response).startswith(f"{field}: an empty text"), ascii(text)
    for text in ("\u200balarm\u0000", "\U0001f600", "e\u0301"):
        assert send(server, text).status_code == 200, ascii(text)


def truncated(server: Server, send: Send, text: str) -> httpx.Response:
    return send(server, text, **({"truncate": True} if send is tei else {"truncation": True}))


@pytest.mark.parametrize("send", [tei, hugging_face])
def test_truncation_answers_by_the_beginning(server: Server, send: Send) -> None:
    words = " ".join(["play", "some", "music"] * 13)  # 39 words, and room for 38
    short = send(server, words.rpartition(" ")[0])
    for text in (words, words + " alarm" * 100, words + " alarm" * 1_000_000):
        response = truncated(server, send, text)
        assert response.status_code == 200, response.text
        assert response.json() == short.json()
        assert response.headers["x-compute-tokens"] == "40"
    only_blanks = truncated(server, send, " " * MOST + "alarm")
    assert f"the tokenizer leaves nothing of the first {MOST} characters of it" in message(
        only_blanks
    )


def test_truncation_leaves_a_text_that_fits_as_it_is(server: Server) -> None:
    for text in ("alarm", "how do i say goodbye in french", "play some music " * 12):
        assert truncated(server, tei, text).json() == tei(server, text).json()


def test_token_ids_are_taken_as_they_come(server: Server) -> None:
    empty = server.client.post("/v1/embeddings", json={"input": [[2, 3], []]})
    assert empty.status_code == 400
    assert message(empty) == "input[1]: an empty list; expected at least one token id"
    assert server.client.post("/v1/embeddings", json={"input": [2, 3]}).status_code == 200


NULLS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/classify", dict.fromkeys(("model", "deadline_ms", "max_cost", "min_confidence", "user"))),
    ("/", {"parameters": None, "options": None}),
    ("/", {"parameters": dict.fromkeys(("top_k", "function_to_apply", "truncation"))}),
    ("/models/tiny", {"parameters": None, "options": None}),
    ("/predict", dict.fromkeys(("truncate", "truncation_direction", "raw_scores"))),
    ("/v1/embeddings", dict.fromkeys(("model", "encoding_format", "dimensions", "user"))),
    ("/v2/models/auto/infer", dict.fromkeys(("id", "outputs", "parameters"))),
    (
        "/v2/models/auto/infer",
        {
            "parameters": dict.fromkeys(
                ("deadline_ms", "max_cost", "min_confidence", "binary_data_output", "headers")
            ),
            "outputs": [
                {"name": "label", "parameters": None},
                {"name": "score", "parameters": {"binary_data": None, "content_type": None}},
            ],
        },
    ),
]


@pytest.mark.parametrize(("path", "fields"), NULLS)
def test_null_is_as_left_out(server: Server, path: str, fields: dict[str, Any]) -> None:
    body: dict[str, Any] = {"inputs": "alarm"}
    if path == "/v1/embeddings":
        body = {"input": "alarm"}
    if path.startswith("/v2"):
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["alarm"]}
        nulls = {"parameters": {"binary_data_size": None, "content_type": None}}
        body = {"inputs": [tensor | nulls]}
    response = server.client.post(path, json=body | fields)
    assert response.status_code == 200, response.text


def test_openapi_says_that_optional_fields_may_be_null(server: Server) -> None:
    described = server.client.get("/openapi.json").json()
    for path in ("/v1/classify", "/", "/models/{model}", "/predict", "/v1/embeddings",
                 "/v2/models/{model}/infer", "/v1/outcomes", "/admin/reload",
                 "/admin/guarantees/reset"):  # fmt: skip
        body = described["paths"][path]["post"]["requestBody"]
        schemas = objects(body["content"]["application/json"]["schema"], described)
        assert schemas, path
        for schema in schemas:
            for name, field in schema["properties"].items():
                if name not in schema.get("required", ()):
                    assert '"null"' in json.dumps(field), (path, name)


def objects(schema: Any, described: Any) -> list[Any]:
    """Every object's schema within one, itself included, and those that it refers to.

    described: the whole of OpenAPI's description, in which references lead from its root.
    """
    if isinstance(schema, list):
        return [found for each in schema for found in objects(each, described)]
    if not isinstance(schema, dict):
        return []
    if isinstance(reference := schema.get("$ref"), str):
        found = described
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return objects(found, described)
    nested = [found for each in schema.values() for found in objects(each, described)]
    return [schema, *nested] if isinstance(schema.get("properties"), dict) else nested


@pytest.mark.parametrize(
    "path", ["/v1/classify", "/", "/predict", "/v1/embeddings", "/v2/models/auto/infer"]
)
def test_numbers_that_are_not_finite_are_refused(server: Server, path: str) -> None:
    for number, words in (
        ("1e999", "a number in the body is beyond what a float64 holds"),
        ("-1e999", "a number in the body is beyond what a float64 holds"),
        ("NaN", "NaN and Infinity are no numbers there"),
        ("-Infinity", "NaN and Infinity are no numbers there"),
    ):
        body = f'{{"inputs": "é", "max_cost": {number}}}'
        response = server.client.post(path, content=body.encode())
        assert response.status_code == 400
        assert words in message(response)
