"""Every way to be refused by the native protocol: status, type, field, limit, in one form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from nestling.server.errors import Reason, RequestError
from nestling.server.http.errors import NATIVE, ErrorFormat
from nestling.server.http.protocols.huggingface import HUGGING_FACE
from nestling.server.http.protocols.oip.request import OPEN_INFERENCE
from nestling.server.http.protocols.openai import OPENAI
from nestling.server.http.protocols.tei import TEI

from ..formats import format_of
from ..serving import Server

LIMIT = 40
LONG = "alarm " * 50


def error(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error"}
    assert "Traceback" not in response.text
    return body["error"]


@pytest.mark.parametrize(
    ("body", "kind", "field", "message"),
    [
        ({"inputs": ""}, "empty", "inputs", "inputs: an empty text"),
        ({"inputs": " \n"}, "empty", "inputs", "inputs: an empty text"),
        ({"inputs": []}, "empty", "inputs", "inputs: an empty list; expected at least one text"),
        ({"inputs": ["a", ""]}, "empty", "inputs[1]", "inputs[1]: an empty text"),
        (
            {"inputs": 5},
            "wrong_type",
            "inputs",
            "inputs: expected a string or a list of strings or a pair of texts or a list of pairs, "
            "got a number",
        ),
        (
            {"inputs": None},
            "wrong_type",
            "inputs",
            "inputs: expected a string or a list of strings or a pair of texts or a list of pairs, "
            "got null",
        ),
        (
            {"inputs": ["a", ["b"]]},
            "wrong_type",
            "inputs[1]",
            "inputs[1]: expected a string, got a list",
        ),
        (
            {"inputs": "a", "model": True},
            "wrong_type",
            "model",
            "model: expected a string, got a boolean",
        ),
        ({}, "missing_field", "inputs", "inputs: missing"),
        (
            {"inputs": "a", "modle": "tiny"},
            "unknown_field",
            "modle",
            "modle: unknown; known are inputs, model, deadline_ms, max_cost, min_confidence, user, "
            "truncate, abstain, top_k",
        ),
        (["a"], "wrong_type", None, 'the body is a list; expected an object: {"inputs": "…"}'),
    ],
)
def test_a_wrong_body_names_the_field(
    server: Server, body: object, kind: str, field: str | None, message: str
) -> None:
    found = error(server.client.post("/v1/classify", json=body), 422)
    assert (found["type"], found.get("field"), found["message"]) == (kind, field, message)


def test_a_too_long_text_says_limit_and_length(server: Server) -> None:
    for inputs, field in ((LONG, "inputs"), (["alarm", LONG], "inputs[1]")):
        found = error(server.client.post("/v1/classify", json={"inputs": inputs}), 422)
        assert found == {
            "type": "too_long",
            "message": f"{field}: 52 tokens; the limit is {LIMIT}",
            "field": field,
            "limit": LIMIT,
            "actual": 52,
        }


def test_an_unknown_model_lists_the_known(server: Server) -> None:
    body = {"inputs": "alarm", "model": "huge"}
    found = error(server.client.post("/v1/classify", json=body), 404)
    assert found["known"] == ["auto", "all", "short", "tiny", "small", "ta"]
    assert found["message"] == "model: 'huge' is none of auto, all, short, tiny, small, ta"


@pytest.mark.parametrize(
    ("content", "kind", "position"),
    [
        (b'{"inputs": "a"', "invalid_json", 14),
        (b'{"inputs": NaN}', "invalid_json", 11),
        (b'{"inputs": "\\ud800"}', "invalid_json", None),
        (b"[" * 100_000, "invalid_json", None),
        (b"", "invalid_json", None),
        (b'{"inputs": "\xff"}', "invalid_utf8", 12),
        ('{"inputs": "a"}'.encode("utf-16"), "invalid_utf8", 0),
    ],
)
def test_what_is_not_json_is_refused_at_its_place(
    server: Server, content: bytes, kind: str, position: int | None
) -> None:
    found = error(server.client.post("/v1/classify", content=content), 400)
    assert found["type"] == kind
    if position is not None:
        assert found["position"] == position


def test_too_many_texts(server: Server) -> None:
    found = error(server.client.post("/v1/classify", json={"inputs": ["alarm"] * 1025}), 422)
    assert found["message"] == "inputs: 1025 texts; the limit is 1024"
    assert (found["limit"], found["actual"]) == (1024, 1025)


def test_a_large_body_is_refused_while_it_arrives(server: Server) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 256 * 2**20:
            sent += 2**20
            yield b" " * 2**20

    declared = error(server.client.post("/v1/classify", content=b" " * (9 * 2**20)), 413)
    assert declared["limit"] == 8 * 2**20
    try:
        response = server.client.post("/v1/classify", content=endless())
    except httpx.TransportError:
        pass  # the answer came and the connection went while the client was still writing
    else:
        assert error(response, 413) == declared
    assert server.classify("alarm")


def test_unknown_paths_and_methods(server: Server) -> None:
    lost = error(server.client.get("/nothing"), 404)
    assert lost["type"] == "not_found"
    assert lost["message"] == "/nothing does not exist; /docs lists all paths"
    response = server.client.get("/v1/classify")
    assert error(response, 405)["message"] == "/v1/classify does not take GET; it takes POST"
    assert response.headers["Allow"] == "POST"
    assert error(server.client.post("/health"), 405)["type"] == "method_not_allowed"
    both = server.client.delete("/v1/experiments")
    assert {"GET", "PUT"} <= set(both.headers["Allow"].split(", "))
    assert "it takes GET" in error(both, 405)["message"]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/clasify", "/v1/classify"),
        ("/v1/classify/", "/v1/classify"),
        ("/V1/Classify", "/v1/classify"),
        ("/health/", "/health"),
        ("/metric", "/metrics"),
        ("/openapi.jsn", "/openapi.json"),
        ("/models", "/v1/models"),
        ("/v1/modles/tiny", "/v1/models/tiny"),
        ("/v2/models/tiny/inferr", "/v2/models/tiny/infer"),
    ],
)
def test_a_path_that_is_none_has_the_nearest(server: Server, path: str, meant: str) -> None:
    response = server.client.post(path, json={"inputs": "alarm"})
    assert response.status_code == 404
    found = f"{path} does not exist; did you mean {meant}? /docs lists all paths"
    assert found in response.text
    if format_of(path) is NATIVE:
        assert error(response, 404)["nearest"] == meant


@pytest.mark.parametrize("path", ["/a%0ab", "/%0d%0aLocation:x", "/%C3%A9%00", "/" + "x" * 9000])
def test_a_lost_path_is_said_in_one_line(server: Server, path: str) -> None:
    found: str = error(server.client.get(path), 404)["message"]
    assert found.isprintable()
    assert found.replace("…", "").isascii()
    assert len(found) < 300


def test_a_model_that_is_none_has_the_nearest_first(server: Server) -> None:
    for name, nearest in (("smal", "small"), ("Tiny", "tiny"), (" auto", "auto")):
        found = error(server.client.post("/v1/classify", json={"inputs": "a", "model": name}), 404)
        assert found["known"][0] == nearest
        assert found["message"].startswith(f"model: {name!r} is none of {nearest}, ")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/", HUGGING_FACE),
        ("/nothing", NATIVE),
        ("/health", NATIVE),
        ("/info", TEI),
        ("/models/tiny", HUGGING_FACE),
        ("/predict", TEI),
        ("/v1/classify", NATIVE),
        ("/v1/embeddings", OPENAI),
        ("/v1/chat/completions", OPENAI),
        ("/v2", OPEN_INFERENCE),
        ("/v2/models/tiny/infer", OPEN_INFERENCE),
        ("/v2x", NATIVE),
    ],
)
def test_each_protocol_has_its_form(path: str, form: ErrorFormat) -> None:
    assert format_of(path) is form


def test_every_reason_has_a_status_and_a_body_in_every_form() -> None:
    for form in (HUGGING_FACE, NATIVE, OPENAI, OPEN_INFERENCE, TEI):
        for reason in Reason:
            error = RequestError(reason, "what is wrong", "inputs", limit=1)
            assert 400 <= form.status(reason) <= 505
            assert "inputs: what is wrong" in str(form.body(error))
            assert form.body(error).keys() == form.schema["properties"].keys()


def test_openai_tells_whose_fault_it_is() -> None:
    kinds = {r: OPENAI.body(RequestError(r, ""))["error"]["type"] for r in Reason}
    assert kinds[Reason.OVERLOADED] == "rate_limit_error"
    assert kinds[Reason.INTERNAL] == kinds[Reason.DEADLINE] == "server_error"
    assert kinds[Reason.EMPTY] == "invalid_request_error"
