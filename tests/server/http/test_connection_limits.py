"""Requests without an end, and more of them than anybody can answer: nobody else notices."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from ..serving import Server
from ..sockets import BODY, Client, ask, head, refusals

LIMIT = 64 * 1024
CHUNKED = b"POST /v1/classify HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"


def padded(length: int, fields: int = 1) -> bytes:
    """A head of exactly so many bytes, with so many headers besides Host."""
    start = b"GET /health HTTP/1.1\r\nHost: here\r\n" + b"x: y\r\n" * (fields - 1) + b"big: "
    return start + b"a" * (length - len(start) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "block", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: here\r\nbig: ", b"a" * 1000, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: here\r\nbig", b"a" * 1000, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: here\r\n", b"a: b\r\n" * 50, 431, "headers_too_large"),
        (b"GET /", b"a" * 1000, 414, "url_too_long"),
        (b"GET /?", b"a=b&" * 1000, 414, "url_too_long"),
        (b"", b"\r\n" * 1000, 400, "request_line"),
        (b"", b"\n" * 1000, 400, "request_line"),
        (CHUNKED + b"5;", b"a=b;" * 1000, 431, "headers_too_large"),
        (CHUNKED, b"1;a=bcdefghijklmn\r\n \r\n" * 100, 431, "headers_too_large"),
        (CHUNKED + b"0\r\n", b"a: b\r\n" * 100, 431, "headers_too_large"),
        (CHUNKED + b"0\r\na: ", b"a" * 1000, 431, "headers_too_large"),
        (CHUNKED, b"0" * 1000, 400, "chunk"),
    ],
)
def test_what_does_not_end_is_refused_at_its_limit(
    server: Server, start: bytes, block: bytes, status: int, reason: str
) -> None:
    before = refusals(server)[reason]
    client = Client(server.url).send(start)
    for _ in range(600_000 // len(block)):  # who sends on still learns why
        try:
            client.send(block)
        except OSError:
            break
    assert client.head()[0] == status
    assert refusals(server)[reason] == before + 1
    assert server.classify("alarm")


def test_the_limits_themselves_are_allowed(server: Server) -> None:
    assert ask(server, padded(LIMIT))[0] == 200
    assert ask(server, padded(LIMIT, fields=99))[0] == 200
    status, headers, body = ask(server, padded(LIMIT + 1))
    assert (status, headers["connection"]) == (431, "close")
    assert body["error"]["type"] == "headers_too_large"
    assert body["error"]["limit"] == LIMIT
    status, _, body = ask(server, padded(5000, fields=100))
    assert (status, body["error"]["limit"]) == (431, 100)
    assert body["error"]["message"] == "more than 100 headers"


def test_blocks_of_a_header_that_never_ends_hold_nobody_up(server: Server) -> None:
    client = Client(server.url).send(b"GET / HTTP/1.1\r\nHost: here\r\nbig: ")
    with suppress(OSError):  # it is cut off
        for _ in range(100):
            client.send(b"a" * 500_000)
            server.classify("alarm")
    assert refusals(server)["headers_too_large"]
    assert server.classify("alarm")


@pytest.mark.parametrize("framed", [head("/v1/classify") + BODY, CHUNKED + b"1a\r\n" + BODY])
def test_one_byte_at_a_time(server: Server, framed: bytes) -> None:
    client = Client(server.url)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if framed.startswith(CHUNKED):
        framed += b"\r\n0;a=b\r\na: b\r\n\r\n"
    for byte in b"\r\n" + framed + b"\r\n" + framed:
        client.send(bytes([byte]))
    assert client.answer()[0] == 200
    assert client.answer()[0] == 200


def test_a_client_that_reads_nothing_stops_itself(server: Server) -> None:
    """Its requests wait in its own system and are not taken into memory here."""
    client = Client(server.url, receive_bytes=4096)
    client.socket.settimeout(0.5)
    before, sent = resident(server), 0
    many = (head("/predict", 19) + b'{"inputs": "alarm"}') * 3000
    with suppress(TimeoutError):
        while sent < 64_000_000:
            sent += client.socket.send(many)
    assert sent < 64_000_000
    assert server.classify("alarm")
    assert resident(server) - before < 30_000_000


def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    client, paths = Client(server.url), ["/health", "/v2/health/live", "/v2/health/ready"] * 50
    client.send(b"".join(head(path, 0, method="GET") for path in paths))
    for path in paths:
        status, _, body = client.answer()
        assert status == 200
        assert set(body) == {"status" if path == "/health" else path.rpartition("/")[2]}


def test_large_bodies_one_behind_the_other(server: Server) -> None:
    """Each is more than is read ahead."""
    body = b'{"inputs": "alarm"' + b" " * 300_000 + b"}"
    client = Client(server.url)
    for _ in range(3):
        client.send(head("/v1/classify", len(body)) + body + head("/nothing", len(body)) + body)
        assert client.answer()[0] == 200
        assert client.answer()[0] == 404


def resident(server: Server) -> int:
    """Bytes of memory that the server's process has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return 1024 * int(found[1])
