"""Headers, however they are spelled and however often they come."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from nestling.server.http.headers import id_of, values_of
from nestling.server.http.keys import new_key

from ...experiments.declared import experiment
from ..serving import Server, serve

KEY, DIGEST = new_key()
BLANKS = [b"%s", b"%s ", b"  %s\t ", b"\t%s", b"%s\t\t"]
BODY = b'{"inputs": "alarm"}'
TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def server(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with keys and an experiment by header and one by the body's user."""
    folder = tmp_path_factory.mktemp("headers")
    keys, declared = folder / "keys", folder / "experiments.json"
    keys.write_text(f"somebody {DIGEST}\n")
    both = [
        experiment("by-header", start="2026-01-01T00:00:00Z", end=None, layer="one"),
        experiment("by-user", start="2026-01-01T00:00:00Z", end=None, layer="two", unit="user"),
    ]
    for each, runner in zip(both, (False, True), strict=True):
        if runner:
            each["variants"] = [
                {"name": name, "weight": 1, "runner": "torch"} for name in ("control", "other")
            ]
    layers = [{"name": "one"}, {"name": "two"}]
    declared.write_text(orjson.dumps({"layers": layers, "experiments": both}).decode())
    record = ("--experiments", str(declared), "--store", f"sqlite:///{folder / 'store.db'}")
    with serve(calibrated_dir, folder / "log", "--api-keys", str(keys), *record) as running:
        yield running


def post(
    server: Server,
    *headers: tuple[bytes, bytes],
    path: bytes = b"/v1/classify",
    body: bytes = BODY,
    key: bytes | None = KEY.encode(),
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and content, of headers sent byte for byte."""
    host, port = server.url.removeprefix("http://").split(":")
    lines = [b"POST %s HTTP/1.1" % path, b"Host: x", b"Connection: close"]
    lines.append(b"Content-Length: %d" % len(body))
    if key:
        lines.append(b"X-API-Key: " + key)
    lines += [b"%s:%s" % pair for pair in headers]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    named = dict(line.split(": ", 1) for line in rest)
    return int(first.split()[1]), {k.lower(): v for k, v in named.items()}, orjson.loads(content)


def variants(server: Server, *headers: tuple[bytes, bytes], body: bytes = BODY) -> dict[str, str]:
    status, _, content = post(server, *headers, body=body)
    assert status == 200, content
    found: dict[str, str] = content["decision"]["variants"]
    return found


def test_blanks_around_a_unit_are_not_part_of_it(server: Server) -> None:
    for number in range(8):
        unit = b"ada-%d" % number
        found = [variants(server, (b"X-User-Id", spelling % unit)) for spelling in BLANKS]
        assert [each.keys() for each in found] == [{"by-header"}] * len(BLANKS)
        assert all(each == found[0] for each in found)
        bodies = [
            orjson.dumps({"inputs": "alarm", "user": (spelling % unit).decode()})
            for spelling in BLANKS
        ]
        users = [variants(server, body=body) for body in bodies]
        assert [each.keys() for each in users] == [{"by-user"}] * len(BLANKS)
        assert all(each == users[0] for each in users)
    assert variants(server, (b"X-User-Id", b" \t ")) == {}
    status, _, content = post(server, body=b'{"inputs": "alarm", "user": "  "}')
    assert (status, content["error"]["field"]) == (422, "user")


@pytest.mark.parametrize("spelling", BLANKS)
def test_blanks_around_every_header_that_is_read(server: Server, spelling: bytes) -> None:
    key = KEY.encode()
    assert post(server, (b"X-API-Key", spelling % key), key=None)[0] == 200
    bearer = spelling % (b"Bearer %s" % key)
    assert post(server, (b"Authorization", bearer), key=None)[0] == 200
    assert post(server, (b"Content-Encoding", spelling % b"identity"))[0] == 200
    covariate = (b"x-nestling-covariate", spelling % b"1.5")
    assert post(server, (b"X-User-Id", b"ada"), covariate)[0] == 200
    assert post(server, (b"x-request-id", spelling % b"mine"))[1]["x-request-id"] == "mine"
    traced = (b"traceparent", spelling % (b"00-%s-00f067aa0ba902b7-01" % TRACE))
    assert post(server, traced)[1]["x-request-id"] == TRACE.decode()
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1]}
    tensor["parameters"] = {"binary_data_size": 9}  # type: ignore[assignment]
    head = orjson.dumps({"inputs": [tensor], "outputs": [{"name": "label"}]})
    length = (b"Inference-Header-Content-Length", spelling % (b"%d" % len(head)))
    body = head + b"\5\0\0\0alarm"
    assert post(server, length, path=b"/v2/models/auto/infer", body=body)[0] == 200


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        (b"X-User-Id", b"ada", b"bob"),
        (b"Authorization", b"Bearer a", b"Bearer b"),
        (b"Content-Encoding", b"identity", b"gzip"),
        (b"x-nestling-covariate", b"1", b"2"),
    ],
)
def test_a_header_with_two_values_is_refused(
    server: Server, name: bytes, first: bytes, second: bytes
) -> None:
    unit = [] if name == b"X-User-Id" else [(b"X-User-Id", b"ada")]
    status, _, content = post(server, *unit, (name, first), (name.lower(), second))
    assert (status, content["error"]["type"]) == (400, "ambiguous_header")
    assert content["error"]["message"].lower() == (
        f"{name.decode().lower()}: came with 2 different values; send one"
    )


def test_a_header_that_comes_twice_alike_came_once(server: Server) -> None:
    twice = [(b"X-User-Id", b"ada"), (b"x-user-id", b" ada ")]
    assert variants(server, *twice) == variants(server, twice[0])


def test_an_id_with_two_values_is_as_none() -> None:
    for name, value in ((b"x-request-id", b"%d"), (b"traceparent", b"00-" + TRACE + b"-%016d-01")):
        alike = [(name, value % 1)] * 2
        assert id_of(alike) == id_of(alike[:1])
        assert len(id_of([(name, value % 1), (name, value % 2)])) == 32
        assert id_of([(name, value % 1), (name, value % 2)]) not in ("1", "2", TRACE.decode())


def test_a_letter_is_no_blank() -> None:
    # The second byte of this letter is a blank of Latin-1.
    assert values_of([(b"x", " à ".encode())], b"x") == ["à".encode().decode("latin-1")]
