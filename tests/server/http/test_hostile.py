"""Values that nobody sends in good faith, at every place of every body: each gets an answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import orjson
import pytest

from ..formats import format_of
from ..serving import Server

DEEP = "deep"
"""Stands for a list nested nearly as deep as JSON may be."""
VALUES: list[Any] = [
    None, True, 0, -1, 2**63, 2**64 - 1, -(2**63), 1e308, 5e-324, "", "\x00", "\u202e", "x" * 9000,
    [], {}, [[]], [None], [{}], [0, 2**63], [2**62, 2**62], [1, 0], {"": None}, DEEP,
]  # fmt: skip
IDS: dict[str, Any] = {"name": "input_ids", "datatype": "INT64", "shape": [1, 2], "data": [2, 3]}
BODIES: dict[str, Any] = {
    "/": {
        "inputs": ["alarm", "play"],
        "parameters": {"top_k": 2, "function_to_apply": "none", "truncation": True},
    },
    "/predict": {
        "inputs": [["alarm"], ["play"]],
        "truncate": True,
        "truncation_direction": "Right",
        "raw_scores": True,
    },
    "/v1/classify": {
        "inputs": ["alarm", "play"],
        "model": "all",
        "deadline_ms": 60_000,
        "max_cost": 2,
        "min_confidence": 0.5,
        "user": "somebody",
    },
    "/v1/embeddings": {
        "input": [[2, 3], [4]],
        "model": "ta",
        "encoding_format": "float",
        "dimensions": 4,
        "user": "somebody",
    },
    "/v2/models/auto/infer": {
        "id": "1",
        "inputs": [
            {**IDS, "parameters": {"content_type": "np"}},
            {"name": "lengths", "datatype": "INT64", "shape": [1], "data": [2]},
        ],
        "outputs": [{"name": "label", "parameters": {"binary_data": True}}],
        "parameters": {"max_cost": 2, "binary_data_output": False},
    },
}


def places(body: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON body, with a key of it."""
    for key in list(body) if isinstance(body, dict) else range(len(body)):
        yield body, key
        if isinstance(body[key], dict | list):
            yield from places(body[key])


def hostile(body: Any) -> Iterator[bytes]:
    """The body with each value at each place, and with each place left out."""
    for number, _ in enumerate(places(body)):
        for value in VALUES:
            changed = deepcopy(body)
            container, key = list(places(changed))[number]
            container[key] = value
            yield orjson.dumps(changed).replace(b'"deep"', b"[" * 1000 + b"]" * 1000)
        container, key = list(places(changed := deepcopy(body)))[number]
        del container[key]
        yield orjson.dumps(changed)


@pytest.mark.parametrize("path", BODIES)
def test_every_value_at_every_place_is_answered_or_refused(server: Server, path: str) -> None:
    assert server.client.post(path, json=BODIES[path]).status_code == 200
    form = format_of(path)
    for content in hostile(BODIES[path]):
        response = server.client.post(path, content=content)
        assert response.status_code < 500, (content[:300], response.text)
        if response.status_code != 200:
            assert response.json().keys() == form.schema["properties"].keys()


BODY = b'{"inputs": "alarm"}'


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([b"Content-Length: 19"], 200),
        ([b"Content-Length: 5"], 400),  # the body ends within the JSON
        ([b"Content-Length: 9000000"], 413),  # before anything of it is read
        ([b"Content-Length: " + b"9" * 5000], 400),
        ([b"Content-Length: -1"], 400),
        ([b"Content-Length: 19", b"Content-Length: 5"], 400),
        ([b"Content-Length: 19", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked"], 400),  # what follows is no chunk
    ],
)
def test_lengths_that_lie(server: Server, headers: list[bytes], status: int) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    lines = [b"POST /v1/classify HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + BODY)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1") == 1
    assert server.classify("alarm")
