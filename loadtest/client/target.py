"""The server that requests are sent to."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import LoadtestError

LOOPBACK = ("127.", "::1")


@dataclass(frozen=True)
class Target:
    """A server, by its URL.

    host: for the Host header. prefix: is put before every path. family, address: as `socket` takes
    them. key: the API key, None for none.
    """

    url: str
    host: str
    prefix: str
    family: int
    address: tuple[Any, ...]
    key: str | None = None

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        return str(self.address[0]).startswith(LOOPBACK)

    def head(self, path: str, length: int) -> bytes:
        """The request line and the headers of a POST."""
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        return (
            f"POST {self.prefix}{path} HTTP/1.1\r\nHost: {self.host}\r\n{key}"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def about(self) -> dict[str, Any] | None:
        """What `GET /info` answers, as Nestling and text-embeddings-inference do; else None."""
        host, port = self.address[:2]
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
            connection.request("GET", f"{self.prefix}/info", headers=headers)
            answer = connection.getresponse()
            said = json.loads(answer.read()) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None  # other servers need not have it
        finally:
            connection.close()
        return said if isinstance(said, dict) else None


def find(url: str, key: str | None = None) -> Target:
    """Look the server up, and connect once.

    Raises LoadtestError for a string that is no URL, or where nothing listens.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise LoadtestError(
            f"url: {url!r} is not of the form http://HOST:PORT; load goes to plain HTTP, without "
            "TLS"
        )
    try:
        port = parts.port or 80
    except ValueError as error:
        raise LoadtestError(f"url: {url!r}: {error}") from error
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise LoadtestError(f"url: {parts.hostname}: {error.strerror}") from error
    why = ""
    for family, _, _, _, address in found:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            try:
                probe.connect(address)
            except OSError as error:
                why = error.strerror or str(error)
                continue
        return Target(url, parts.netloc, parts.path.rstrip("/"), family, address, key)
    raise LoadtestError(f"url: nothing answers at {url}: {why}")
