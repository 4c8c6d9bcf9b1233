"""Request ids in answers and in the log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..serving import Server, serve
from ..supervisor.test_shutdown import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def logging(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("logging") / "log"
    with serve(calibrated_dir, log, "--log-format", "json", "--log-requests") as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "mine"}, TRACE),
        ({"x-request-id": "order-66.a:b"}, "order-66.a:b"),
        ({"x-request-id": "no spaces"}, "[0-9a-f]{32}"),
        ({"traceparent": "00-short-00f067aa0ba902b7-01"}, "[0-9a-f]{32}"),
        ({}, "[0-9a-f]{32}"),
    ],
)
def test_every_answer_has_an_id(server: Server, headers: dict[str, str], expected: str) -> None:
    for body in ({"inputs": "book"}, {"inputs": ""}):
        response = server.client.post("/v1/classify", json=body, headers=headers)
        assert re.fullmatch(expected, response.headers["x-request-id"])


def test_the_log_names_the_request_and_never_its_text(logging: Server) -> None:
    secret = "transfer money to my savings"
    for body in ({"inputs": secret}, {"inputs": [secret, ""]}):
        logging.client.post("/v1/classify", json=body, headers={"x-request-id": "audit"})
    until(lambda: logging.log.count('"audit"') == 2)  # a line is written after the answer
    lines = [json.loads(line) for line in logging.log.splitlines()]
    ours = [line for line in lines if line.get("request_id") == "audit"]
    assert [re.sub(r"[\d.]+ ms", "", line["message"]) for line in ours] == [
        "POST /v1/classify 200 ",
        "POST /v1/classify 422 ",
    ]
    assert {line["level"] for line in ours} == {"info"}
    assert "savings" not in logging.log
