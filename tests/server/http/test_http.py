"""What clients of many kinds send: taken as it is meant, or refused in the form of the protocol."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from nestling.server.errors import Refusal
from nestling.server.telemetry.metrics import Metrics

from ..serving import Server
from ..sockets import BODY, Client, ask, head, refusals

PATH = "/v1/classify"
GET = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"
CHUNKED = b"1a\r\n" + BODY + b"\r\n0\r\n\r\n"


def request(*fields: str, first: str = f"POST {PATH} HTTP/1.1", host: str = "Host: here") -> bytes:
    return "\r\n".join([first, *([host] if host else []), *fields, "", ""]).encode()


@pytest.mark.parametrize(
    "offer",
    [
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQA"],
        ["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
        ["Connection: keep-alive, Upgrade", "Upgrade: TLS/1.0"],
    ],
)
@pytest.mark.parametrize(
    "framed",
    [
        [f"Content-Length: {len(BODY)}", BODY],
        ["Transfer-Encoding: chunked", CHUNKED],
    ],
)
def test_an_offer_to_upgrade_is_left_alone(
    server: Server, offer: list[str], framed: list[Any]
) -> None:
    client = Client(server.url)
    once = request(framed[0], *offer) + framed[1]
    client.send(once + GET + once[:-5])  # and with what stands behind it, at once or later
    assert client.answer()[2]["label"]
    assert client.answer()[2] == {"status": "ready"}
    assert client.send(once[-5:]).answer()[2]["label"]


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "request_line"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 400, "request_line"),
        (b"GET / HTTP/1.1\nHost: here\n\n", 400, "header"),
        (b"get / HTTP/1.1\r\nHost: here\r\n\r\n", 400, "request_line"),
        (request(first="GET HTTP/1.1"), 400, "request_line"),
        (request(first="GET /\x7f HTTP/1.1"), 400, "request_line"),
        (request(first="GET /\xfc HTTP/1.1"), 400, "request_line"),
        (b"GET /\r\n\r\n", 505, "http_version"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version"),
        (request(first="GET / HTTP/2.0"), 505, "http_version"),
        (request(first="GET / HTTP/3.1"), 505, "http_version"),
        (request(first="CONNECT example.org:443 HTTP/1.1"), 405, "method"),
        (request(host=""), 400, "header"),
        (request("Host: there"), 400, "header"),
        (request("a b: c"), 400, "header"),
        (request(": c"), 400, "header"),
        (request("a: b\r\n c"), 400, "header"),
        (request("a: \x00"), 400, "header"),
        (request("a: b\rc: d"), 400, "header"),
        (request("a: b\nc: d"), 400, "header"),
        (request("Content-Length: 19", "Content-Length: 19"), 400, "header"),
        (request("Content-Length: 19", "Content-Length: 5"), 400, "header"),
        (request("Content-Length: 19, 19"), 400, "header"),
        (request("Content-Length: +19"), 400, "header"),
        (request("Content-Length: 0x13"), 400, "header"),
        (request("Content-Length: -1"), 400, "header"),
        (request("Content-Length:"), 400, "header"),
        (request(f"Content-Length: {2**64}"), 400, "header"),
        (request(f"Content-Length: {'9' * 5000}"), 400, "header"),
        (request("Content-Length: 26", "Transfer-Encoding: chunked"), 400, "header"),
        (request("Transfer-Encoding: chunked", "Content-Length: 26"), 400, "header"),
        (request("Transfer-Encoding: gzip, chunked"), 501, "transfer_coding"),
        (request("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), 501, "transfer_coding"),
        (request("Transfer-Encoding: chunked, gzip"), 501, "transfer_coding"),
        (request("Transfer-Encoding: chunked, chunked"), 501, "transfer_coding"),
        (request("Transfer-Encoding: identity"), 501, "transfer_coding"),
        (request("Transfer-Encoding: xchunked"), 501, "transfer_coding"),
        (request("Transfer-Encoding: chunked;a=b"), 501, "transfer_coding"),
        (request("Transfer-Encoding: chunked", first=f"POST {PATH} HTTP/1.0"), 400, "header"),
        (request("Expect: something-else", "Content-Length: 26"), 417, "expectation"),
        (request("Expect: 100-continue, x", "Content-Length: 26"), 417, "expectation"),
    ],
)
def test_what_is_no_request_is_refused_and_counted(
    server: Server, sent: bytes, status: int, reason: str
) -> None:
    before = refusals(server)
    client = Client(server.url).send(sent)
    answered, headers, body = client.answer()
    assert (answered, headers["connection"]) == (status, "close")
    assert headers["x-request-id"]
    if b"/v1/" in sent and status != 417:
        assert body["error"]["type"]
    assert body["error"]["message"] if PATH.encode() in sent else body["error"]
    assert client.send(GET).closed()
    after = refusals(server)
    assert after.pop(reason) == before.pop(reason) + 1
    assert after == before


@pytest.mark.parametrize("body", [b"1a;\r\n", b"g\r\n", b"-1\r\n", b"\r\n", b"1a \r\n", b"1a\n"])
def test_what_is_no_chunk_is_refused_in_the_form_of_the_protocol(
    server: Server, body: bytes
) -> None:
    before = refusals(server)["chunk"]
    sent = body + BODY + b"!!\r\n0\r\n\r\n"
    status, headers, error = ask(server, request("Transfer-Encoding: chunked") + sent)
    assert (status, headers["connection"]) == (400, "close")
    assert error["error"]["type"] == "malformed_request"
    assert refusals(server)["chunk"] == before + 1


def test_every_reason_is_there_before_there_is_traffic() -> None:
    text = Metrics([]).exposition().decode()
    for refusal in Refusal:
        assert f'nestling_connection_refusals_total{{reason="{refusal}"}} 0.0' in text


def test_a_body_is_asked_for(server: Server) -> None:
    client = Client(server.url).send(head(PATH, len(BODY), "Expect: 100-Continue"))
    assert client.head() == (100, {})
    assert client.send(BODY).answer()[0] == 200
    assert client.send(head(PATH, len(BODY), "Expect: 100-continue") + BODY).answer()[0] == 200


@pytest.mark.parametrize(("path", "length", "status"), [(PATH, 10**9, 413), ("/nothing", 5, 404)])
def test_who_was_not_asked_for_a_body_need_not_send_it(
    server: Server, path: str, length: int, status: int
) -> None:
    """Whether its next bytes are that body or another request nobody can know."""
    client = Client(server.url).send(head(path, length, "Expect: 100-continue"))
    answered, headers, _ = client.answer()
    assert (answered, headers["connection"]) == (status, "close")
    assert client.send(GET).closed()


def test_the_old_version_needs_no_host(server: Server) -> None:
    client = Client(server.url).send(b"GET /health HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
    status, headers, body = client.answer()
    assert (status, headers["connection"], body) == (200, "close", {"status": "ready"})
    assert client.closed()


@pytest.mark.parametrize("target", ["http://here/health", "http://here/health?a=b", "/health#a"])
def test_urls_of_other_forms(server: Server, target: str) -> None:
    assert ask(server, request(first=f"GET {target} HTTP/1.1"))[0] == 200


def test_no_path_at_all(server: Server) -> None:
    assert ask(server, request(first="OPTIONS * HTTP/1.1"))[0] == 404
    assert ask(server, request(first="PUT http://here HTTP/1.1"))[0] == 405


def test_blanks_around_a_header_are_no_part_of_it(server: Server) -> None:
    sent = request("x-request-id: \t order-66 \t ", first="GET /health HTTP/1.1")
    assert ask(server, sent)[1]["x-request-id"] == "order-66"


def test_head_is_answered_wherever_get_is(server: Server) -> None:
    described = server.client.get("/openapi.json").json()["paths"]
    values = {"{model}": "tiny", "{version}": "1", "{name}": "x"}
    paths = ["/docs", "/openapi.json", "/console", "/console/static/console.js", "/metrics"]
    for path, methods in described.items():
        for name, value in values.items():
            path = path.replace(name, value)
        if "get" in methods:
            paths.append(path)
    client = Client(server.url)
    for path in paths:
        full = server.client.get(path)
        status, headers = client.send(request(first=f"HEAD {path} HTTP/1.1")).head()
        assert (status, headers.keys()) == (full.status_code, full.headers.keys()), path
        if path != "/metrics":  # whose numbers move
            assert headers["content-length"] == full.headers["content-length"]
    assert client.send(GET).answer()[0] == 200  # nothing stood between


def test_head_of_a_stream_ends(server: Server) -> None:
    client = Client(server.url).send(request(first="HEAD /console/events HTTP/1.1") + GET)
    status, headers = client.head()
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert client.answer()[2] == {"status": "ready"}


def test_head_where_get_is_not(server: Server) -> None:
    client = Client(server.url).send(request(first=f"HEAD {PATH} HTTP/1.1") + GET)
    status, headers = client.head()
    assert (status, headers["allow"]) == (405, "post")
    assert client.answer()[2] == {"status": "ready"}
    assert server.client.post("/health").headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("count", [1, 3, 200])
def test_who_sends_no_more_gets_all_answers(server: Server, count: int) -> None:
    client = Client(server.url).send((head(PATH) + BODY) * count)
    client.socket.shutdown(socket.SHUT_WR)
    answers = [client.answer() for _ in range(count)]
    assert {status for status, _, _ in answers} == {200}
    assert not any("connection" in headers for _, headers, _ in answers[:-1])
    assert client.closed()
    assert "Traceback" not in server.log


def test_a_stream_ends_with_its_listener(server: Server) -> None:
    client = Client(server.url).send(request(first="GET /console/events HTTP/1.1"))
    assert client.head()[0] == 200
    client.socket.shutdown(socket.SHUT_WR)
    client.rest()  # has an end
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "sent", [GET[:-1], b"GET", head(PATH), head(PATH) + BODY[:5], head("/nothing", 9)]
)
def test_who_sends_no_more_within_a_request_is_told(server: Server, sent: bytes) -> None:
    before = refusals(server)["incomplete"]
    client = Client(server.url).send(sent)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.answer()[0] == (404 if b"nothing" in sent else 400)
    assert client.closed()
    assert refusals(server)["incomplete"] == before + 1
    assert "Traceback" not in server.log


def test_who_sends_no_more_within_a_later_request_is_told(server: Server) -> None:
    """At once, though what is complete was answered first."""
    whole = head(PATH) + BODY
    client = Client(server.url).send(whole + whole[:-4])
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.answer()[0] for _ in range(2)] == [200, 400]
    assert client.closed()


@pytest.mark.parametrize("sent", [b"", b"\r\n", GET])
def test_who_has_nothing_more_to_ask_is_let_go(server: Server, sent: bytes) -> None:
    before = refusals(server)
    client = Client(server.url).send(sent)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.rest().count(b"HTTP/1.1 200") == (sent == GET)
    assert refusals(server) == before
