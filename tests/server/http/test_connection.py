"""Slow and idle clients, byte by byte, and a healthy one beside them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI

from nestling.server.http.auth import Keyring
from nestling.server.http.departure import CONNECTION
from nestling.server.http.dispatcher import RequestDispatcher
from nestling.server.http.keys import Keys

from ..serving import Server, serve
from ..sockets import BODY, Client, head, refusals
from ..supervisor.test_shutdown import until


@pytest.fixture(scope="module")
def strict(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One second for everything."""
    flags = [
        *("--header-timeout", "1", "--body-timeout", "1", "--idle-timeout", "1"),
        *("--write-timeout", "1"),
        *("--metrics-port", "0"),
    ]
    with serve(calibrated_dir, tmp_path_factory.mktemp("strict") / "log", *flags) as running:
        yield running
        assert running.log == ""


def timeouts(server: Server) -> float:
    return server.metrics(server.metrics_url)["nestling_errors_total{reason=request_timeout}"]


@pytest.mark.parametrize(
    ("sent", "part", "message"),
    [
        (b"POST /v1/cl", "headers", ["error", "message"]),
        (b"POST /v1/classify HTTP/1.1\r\nHost: h", "headers", ["error", "message"]),
        (b"POST /v1/embeddings HTTP/1.1\r\nHost: h", "headers", ["error", "message"]),
        (b"POST /predict HTTP/1.1\r\n", "headers", ["error"]),
        (head("/v1/classify"), "body", ["error", "message"]),
        (head("/v1/classify") + BODY[:9], "body", ["error", "message"]),
        (head("/v1/embeddings") + BODY[:9], "body", ["error", "message"]),
        (head("/predict"), "body", ["error"]),
        (head("/v2/models/auto/infer"), "body", ["error"]),
        (head("/") + BODY[:9], "body", ["error"]),
    ],
)
def test_who_is_late_is_told_in_the_form_of_the_protocol(
    strict: Server, sent: bytes, part: str, message: list[str]
) -> None:
    before, counted = (
        timeouts(strict),
        refusals(strict, strict.metrics_url)[f"{part.removesuffix('s')}_timeout"],
    )
    slow = Client(strict.url).send(sent)
    assert strict.classify("play some music")["label"]  # a healthy client beside it
    status, headers, body = slow.answer()
    assert (status, headers["connection"]) == (408, "close")
    for field in message:
        body = body[field]
    assert body == f"the request's {part} took longer than 1 s"
    assert slow.closed()
    assert timeouts(strict) == before + 1
    assert refusals(strict, strict.metrics_url)[f"{part.removesuffix('s')}_timeout"] == counted + 1


def test_a_body_that_drips_is_late_though_it_never_stops(strict: Server) -> None:
    slow = Client(strict.url).send(head("/v1/classify", 10_000))
    slow.socket.settimeout(0.1)
    for _ in range(300):
        slow.send(b" ")
        try:
            if slow.socket.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
    slow.socket.settimeout(30)
    status, _, body = slow.answer()
    assert (status, body["error"]["type"], body["error"]["limit"]) == (408, "request_timeout", 1)


def test_a_body_that_nobody_reads_does_not_hold_the_connection(strict: Server) -> None:
    slow = Client(strict.url).send(head("/nothing", 10_000) + b" ")
    assert slow.answer()[0] == 404
    assert slow.send(b" ").closed()


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_without_a_request_is_closed(strict: Server, sent: bytes) -> None:
    assert Client(strict.url).send(sent).closed()


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_an_idle_connection_is_closed_after_an_answer(strict: Server, sent: bytes) -> None:
    idle = Client(strict.url).send(head("/v1/classify") + BODY)
    assert idle.answer()[0] == 200
    assert idle.send(head("/v1/classify") + BODY).answer()[0] == 200
    assert idle.send(sent).closed()


def test_half_of_the_next_request_costs_no_answer(strict: Server) -> None:
    eager = Client(strict.url).send(head("/v1/classify") + BODY + head("/v1/classify")[:20])
    assert eager.answer()[0] == 200
    assert b"200" not in eager.rest()


def test_a_request_in_pieces_is_answered(strict: Server) -> None:
    request = head("/v1/classify") + BODY
    client = Client(strict.url)
    for at in range(0, len(request), 16):
        client.send(request[at : at + 16])
    assert client.answer()[0] == 200


def test_who_does_not_read_an_answer_is_cut_off(strict: Server) -> None:
    before = refusals(strict, strict.metrics_url)["write_timeout"]
    slow = Client(strict.url, receive_bytes=4096)
    for _ in range(100):
        slow.send(b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n")
    until(lambda: refusals(strict, strict.metrics_url)["write_timeout"] == before + 1)
    with pytest.raises(ConnectionResetError):
        slow.rest()


def test_who_reads_nothing_of_the_last_answer_is_cut_off(strict: Server) -> None:
    before = refusals(strict, strict.metrics_url)["write_timeout"]
    slow = Client(strict.url, receive_bytes=4096)
    slow.send(b"GET /openapi.json HTTP/1.1\r\nHost: here\r\n\r\n" * 99)
    slow.send(b"GET /openapi.json HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    slow.socket.shutdown(socket.SHUT_WR)
    until(lambda: refusals(strict, strict.metrics_url)["write_timeout"] == before + 1)


def test_the_other_port_has_the_same_times(strict: Server) -> None:
    slow = Client(strict.metrics_url).send(b"GET /met")
    assert slow.answer()[0] == 408
    assert slow.closed()


def test_a_request_that_has_ended_holds_nothing_in_memory() -> None:
    """Its scope and its connection know each other. Garbage in cycles waits until it is looked for,
    and what thousands of requests leave is a tenth of a second's work, in which nobody is answered.
    """

    class App:
        state = SimpleNamespace(inference=SimpleNamespace(services=SimpleNamespace(service=None)))

        async def __call__(self, scope: Any, *_: object) -> None:
            assert scope[CONNECTION] is connection

    connection, none = object(), Keys({})
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], CONNECTION: connection}
    dispatcher = RequestDispatcher(
        cast(FastAPI, App()), [], Keyring(none, none), log_requests=False
    )
    asyncio.run(dispatcher(scope, cast(Any, None), cast(Any, None)))
    assert CONNECTION not in scope
