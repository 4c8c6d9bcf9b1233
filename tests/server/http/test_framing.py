"""Heads and bodies in whatever pieces they come."""

from __future__ import annotations

import asyncio
import gc
import random
import select
import socket
import weakref
from contextlib import suppress
from struct import pack
from types import SimpleNamespace
from typing import Any, cast

import pytest
from uvicorn.server import ServerState

from nestling.server.http.auth import Keyring
from nestling.server.http.connection.body import Chunked
from nestling.server.http.connection.config import Config
from nestling.server.http.connection.cycle import Line, RequestCycle
from nestling.server.http.connection.head import KEPT_BYTES, KEPT_HEADS, Head, HeadReader
from nestling.server.http.connection.protocol import HttpConnection
from nestling.server.http.connection.refusal import RefusalError
from nestling.server.http.departure import CONNECTION
from nestling.server.http.dispatcher import RequestDispatcher
from nestling.server.http.keys import Keys
from nestling.server.http.lost import ErrorFormats
from nestling.server.settings import Settings
from nestling.server.telemetry.metrics import Metrics

HEAD = b"\r\n".join(
    [
        b"\r\nPOST /a%20b?c=d HTTP/1.1",
        b"Host: here",
        b"X-Name: \t of  it \t",
        b"Connection: x, Close",
        b"Transfer-Encoding: Chunked",
        b"Expect: 100-continue",
        b"\r\nbehind",
    ]
)
CHUNKS = b"5\r\nhello\r\n1;a=b;c\r\n \r\n0005\r\nworld\r\n0\r\na: b\r\nc:\r\n\r\nbehind"


def read_head(pieces: list[bytes]) -> tuple[Head | None, bytes]:
    reader, buffer, head = HeadReader(), bytearray(), None
    for piece in pieces:
        buffer += piece
        head = head or reader.read(buffer)
    return head, bytes(buffer)


def read_body(length: int | None, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """length: as the head says it; None for chunks."""
    line = SimpleNamespace(out=None, ends={}, app_state={})
    head = Head("POST", b"/", "/", b"", "1.1", [], length, keep_alive=True, awaited=False)
    cycle, buffer = RequestCycle(cast(Line, line), head), bytearray()
    for piece in pieces:
        buffer += piece
        if cycle.more_body:
            cycle.read(buffer)
    assert not cycle.more_body
    return bytes(cycle.body), bytes(buffer)


def splits(data: bytes) -> list[list[bytes]]:
    """All in two pieces, all in single bytes, and some at random."""
    rng, found = random.Random(0), [[data[:at], data[at:]] for at in range(len(data) + 1)]
    found.append([bytes([byte]) for byte in data])
    for _ in range(50):
        cuts = sorted(rng.choices(range(len(data)), k=rng.randint(2, 9)))
        ends = zip([0, *cuts], [*cuts, len(data)], strict=True)
        found.append([data[begin:end] for begin, end in ends])
    return found


def test_a_head_is_the_same_in_any_pieces() -> None:
    for pieces in splits(HEAD):
        head, rest = read_head(pieces)
        assert rest == b"behind"
        assert head == Head(
            method="POST",
            target=b"/a%20b",
            path="/a b",
            query=b"c=d",
            version="1.1",
            fields=[
                (b"host", b"here"),
                (b"x-name", b"of  it"),
                (b"connection", b"x, Close"),
                (b"transfer-encoding", b"Chunked"),
                (b"expect", b"100-continue"),
            ],
            length=None,
            keep_alive=False,
            awaited=True,
        )


def test_a_head_that_comes_again_says_the_same() -> None:
    first, again = read_head([HEAD]), read_head([HEAD])
    assert first == again
    assert first[0] is again[0]
    other = read_head([HEAD.replace(b"a%20b", b"a%20c")])
    assert other[0] is not None
    assert other[0].path == "/a c"


@pytest.mark.parametrize("name", [b"Authorization", b"COOKIE", b"x-api-key"])
def test_a_head_with_a_secret_is_not_remembered(name: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: here\r\n" + name + b": secret\r\n\r\n"
    first, again = read_head([head]), read_head([head])
    assert first == again
    assert first[0] is not again[0]
    assert not any(b"secret" in lines for lines in HeadReader._known)


def test_so_many_heads_are_remembered() -> None:
    for number in range(3 * KEPT_HEADS):
        read_head([b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n" % number])
        assert len(HeadReader._known) <= KEPT_HEADS
    long = b"GET /long HTTP/1.1\r\nHost: here\r\nx: " + b"x" * KEPT_BYTES + b"\r\n\r\n"
    assert read_head([long])[0] is not read_head([long])[0]


def test_a_body_is_the_same_in_any_pieces() -> None:
    for pieces in splits(CHUNKS):
        assert read_body(None, pieces) == (b"hello world", b"behind")
    for pieces in splits(b"hello worldbehind"):
        assert read_body(11, pieces) == (b"hello world", b"behind")


@pytest.mark.parametrize(
    ("reader", "data"),
    [(HeadReader, HEAD.partition(b"behind")[0]), (Chunked, CHUNKS.partition(b"behind")[0])],
)
def test_what_is_damaged_is_refused_or_read_and_nothing_else_is_raised(
    reader: Any, data: bytes
) -> None:
    rng = random.Random(1)
    for _ in range(5000):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(data))] = rng.choice(b"\r\n\x00 :;,0aF\xff/\t%?" + data)
        reading = reader()
        with suppress(RefusalError):
            reading.read(damaged) if reader is HeadReader else reading.take(damaged)


def test_a_reader_is_no_garbage_in_a_cycle() -> None:
    """Such garbage waits until it is looked for, and that takes the time of those who wait."""
    gc.collect()
    gc.disable()
    try:
        reader, buffer = HeadReader(), bytearray(HEAD[:9])
        reader.read(buffer)
        reader.read(buffer + HEAD[9:])
        gone = weakref.ref(reader)
        del reader
        assert gone() is None
    finally:
        gc.enable()


class Application:
    """Stands for all behind a connection."""

    state = SimpleNamespace(
        inference=SimpleNamespace(
            services=SimpleNamespace(service=SimpleNamespace(metrics=Metrics([])))
        ),
        error_formats=ErrorFormats(()),
    )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope.pop(CONNECTION)
        while (await receive())["more_body"]:
            pass
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def connection_of(state: ServerState) -> HttpConnection:
    none = Keys({})
    application = cast(Any, Application())
    dispatcher = RequestDispatcher(application, [], Keyring(none, none), log_requests=False)
    config = Config(dispatcher, Settings(), shutdown_timeout=1)
    return HttpConnection(dispatcher, Settings(), config=config, server_state=state, app_state={})


def test_a_connection_that_was_reset_before_it_began_ends_like_any_other() -> None:
    async def talk() -> None:
        state = ServerState()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        client.close()
        select.select([accepted], [], [], 30)
        loop = asyncio.get_running_loop()
        _, made = await loop.connect_accepted_socket(lambda: connection_of(state), accepted)
        assert made.ends["client"] == ("", 0)  # nobody knows any more
        async with asyncio.timeout(30):
            while state.connections or accepted.fileno() >= 0:
                await asyncio.sleep(0.01)

    asyncio.run(talk())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD[:40],
        b"nonsense",
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" * 3,
        b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    ],
)
def test_a_connection_that_has_ended_is_no_garbage_in_a_cycle(sent: bytes) -> None:
    made: list[weakref.ref[HttpConnection]] = []

    async def talk() -> None:
        def connection() -> HttpConnection:
            new = connection_of(ServerState())
            made.append(weakref.ref(new))
            return new

        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 30)
        writer.close()
        server.close()
        await asyncio.sleep(0.1)

    gc.collect()
    gc.disable()
    try:
        asyncio.run(talk())
        assert [gone() for gone in made] == [None]
    finally:
        gc.enable()
