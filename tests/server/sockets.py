"""A client that says, byte by byte, what it was told to say."""

from __future__ import annotations

import json
import socket
from typing import Any

from .serving import Server

BODY = b'{"inputs": "book a table"}'


def head(path: str, length: int = len(BODY), *fields: str, method: str = "POST") -> bytes:
    """The head of a request with a body of that length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {length}", *fields]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


class Client:
    """A connection to the server's main port, or to its other."""

    def __init__(self, url: str, receive_bytes: int | None = None) -> None:
        """receive_bytes: that the system keeps for a client that does not read."""
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(30)
        self.socket.connect((host, int(port)))
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer."""
        status = int(self._file.readline().split()[1])
        lines = iter(self._file.readline, b"\r\n")
        return status, dict(line.decode().lower().strip().split(": ", 1) for line in lines)

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of the next answer."""
        status, headers = self.head()
        return status, headers, json.loads(self._file.read(int(headers["content-length"])))

    def rest(self) -> bytes:
        """What comes until the server ends the connection."""
        return self._file.read()

    def closed(self) -> bool:
        """Whether the server ends the connection without another byte."""
        return self.rest() == b""


def ask(server: Server, data: bytes) -> tuple[int, dict[str, str], Any]:
    """The answer to what is sent on a connection of its own."""
    client = Client(server.url)
    try:
        return client.send(data).answer()
    finally:
        client.socket.close()


def refusals(server: Server, url: str = "") -> dict[str, float]:
    """How many requests the connections of a server have refused, by reason."""
    name = "nestling_connection_refusals_total{reason="
    found = server.metrics(url).items()
    return {key.removeprefix(name)[:-1]: n for key, n in found if key.startswith(name)}
