"""The head of a request: read within a budget, and refused where another server on the way could
read it otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

import httptools

from ...errors import Refusal
from .refusal import RefusalError

HEAD_BYTES = 64 * 1024
"""Of the request line and all headers together. The parser joins the pieces of a header anew with
each that comes: what it is given has to be small."""
FIELDS = 100
END = b"\r\n\r\n"
LINE = re.compile(rb"\S+ \S+ HTTP/(\d\.\d)\r?\n")
LINE_ENDS = (b"\r", b"\n")
TLS_HANDSHAKE = b"\x16\x03"
IN_LINE = (httptools.HttpParserInvalidMethodError, httptools.HttpParserInvalidURLError)
SPOKEN = ("1.0", "1.1")
KEPT_HEADS, KEPT_BYTES = 512, 1024
"""Heads that are remembered with what they say, and how long one of them may be."""
SECRETS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})
"""A head with one of these is not remembered."""


@dataclass(frozen=True)
class Head:
    """What the lines before a body say.

    target, path, query: the URL without its query as it came, the same decoded, and the query.
    fields: names in lower case, values without blanks around them. length: of the body in bytes;
    None if it comes in chunks. awaited: the client sends its body when it is told to.
    """

    method: str
    target: bytes
    path: str
    query: bytes
    version: str
    fields: list[tuple[bytes, bytes]]
    length: int | None
    keep_alive: bool
    awaited: bool


class HeadReader:
    """Reads one head from what has come so far, at whatever bytes that is split.

    A client's heads hardly differ: one that comes again, byte for byte, and at once, says what it
    said before.
    """

    _known: ClassVar[dict[bytes, Head]] = {}

    def __init__(self) -> None:
        self._seen = _Seen()
        self._parser: httptools.HttpRequestParser | None = None
        self._fed = 0
        self._blank = 0
        self.lines = b""
        """The head as it came, once it is whole."""

    @property
    def begun(self) -> bool:
        """Whether anything but the blank lines has come that may stand before a request."""
        return self._fed > 0

    @property
    def path(self) -> str:
        """As far as it has come; / before that."""
        path = self._seen.url.decode("ascii", "replace").partition("?")[0]
        return path if path.startswith("/") else "/"

    def read(self, buffer: bytearray) -> Head | None:
        """Take the head from the buffer's beginning; None, and nothing is taken, until it is whole.

        Raises RefusalError as soon as nothing that could follow would make it a request.
        """
        if not self._fed and buffer[:1] in LINE_ENDS:
            self._skip(buffer)
        if not buffer:
            return None
        found = buffer.find(END, max(0, self._fed - len(END) + 1), HEAD_BYTES)
        end = found + len(END) if found >= 0 else min(len(buffer), HEAD_BYTES)
        piece = bytes(buffer[self._fed : end])
        head = None if self._fed else self._known.get(piece)
        if head is None:
            self._fed = end
            parser = self._feed(buffer, piece)
            # A line that ends otherwise may end the head for one reader and not for another.
            if self._seen.whole != (found >= 0) or _bare_line_ends(buffer, end):
                raise _malformed(buffer, "a line does not end with CR LF")
            if found < 0:
                if end == HEAD_BYTES:
                    raise _too_large(buffer)
                return None
            head = self._head(parser)
            self._remember(bytes(buffer[:end]), head)
        self.lines = bytes(buffer[:end])
        del buffer[:end]
        return head

    def _remember(self, lines: bytes, head: Head) -> None:
        if len(lines) > KEPT_BYTES or not SECRETS.isdisjoint(dict(head.fields)):
            return
        if len(self._known) >= KEPT_HEADS:
            self._known.clear()
        self._known[lines] = head

    def _skip(self, buffer: bytearray) -> None:
        there = len(buffer)
        buffer[:] = buffer.lstrip(b"\r\n")
        self._blank += there - len(buffer)
        if self._blank > HEAD_BYTES:
            raise RefusalError(
                Refusal.REQUEST_LINE,
                f"more than {HEAD_BYTES} bytes of blank lines before a request",
            )

    def _feed(self, buffer: bytearray, piece: bytes) -> httptools.HttpRequestParser:
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self._seen)
            # What it would refuse of these it would only call malformed; see `length`.
            self._parser.set_dangerous_leniencies(lenient_transfer_encoding=True)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # an offer, which nobody has to take up
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, RefusalError):
                raise error.__context__ from None
            raise _malformed(buffer, str(error), isinstance(error, IN_LINE)) from None
        return self._parser

    def _head(self, parser: httptools.HttpRequestParser) -> Head:
        seen, version = self._seen, parser.get_http_version()
        if version not in SPOKEN:
            raise _version(version)
        method = parser.get_method().decode("ascii")
        if method == "CONNECT":
            raise RefusalError(
                Refusal.METHOD,
                "CONNECT asks for a tunnel, and this is no proxy",
                {"Allow": "GET, HEAD, POST"},
            )
        if version == "1.1" and len(seen.values(b"host")) != 1:
            raise RefusalError(
                Refusal.HEADER, "HTTP/1.1 wants one Host header, no more and no less"
            )
        target, path, query = _split(seen.url)
        connection = b",".join(seen.values(b"connection")).lower()
        return Head(
            method,
            target,
            path,
            query,
            version,
            seen.fields,
            seen.length(version),
            version == "1.1" and b"close" not in map(bytes.strip, connection.split(b",")),
            version == "1.1" and seen.expects_continue(),
        )


class _Seen:
    """What the parser has found. It knows no parser: they would hold each other in memory."""

    __slots__ = ("_special", "fields", "url", "whole")

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.whole = False
        self._special: dict[bytes, list[bytes]] = {}

    def on_url(self, piece: bytes) -> None:
        self.url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.strip(b" \t")
        if len(self.fields) == FIELDS:
            raise RefusalError(
                Refusal.HEADERS_TOO_LARGE, f"more than {FIELDS} headers", limit=FIELDS
            )
        self.fields.append((name, value))
        if name in SPECIAL:
            self._special.setdefault(name, []).append(value)

    def on_headers_complete(self) -> None:
        self.whole = True

    def values(self, name: bytes) -> list[bytes]:
        """All of a header that means something to the connection."""
        return self._special.get(name, [])

    def length(self, version: str) -> int | None:
        """Of the body; None if it comes in chunks. Raises RefusalError if that is unclear."""
        lengths = self.values(b"content-length")
        if b"transfer-encoding" in self._special:
            coding = b", ".join(self.values(b"transfer-encoding"))
            if coding.lower() != b"chunked":
                raise RefusalError(
                    Refusal.TRANSFER_CODING,
                    f"Transfer-Encoding: {coding[:64].decode('latin-1')!r}; only chunked is known "
                    "here",
                )
            if lengths:
                raise RefusalError(
                    Refusal.HEADER, "Content-Length and Transfer-Encoding contradict each other"
                )
            if version != "1.1":
                raise RefusalError(Refusal.HEADER, f"HTTP/{version} has no Transfer-Encoding")
            return None
        if not lengths:
            return 0
        if len(lengths) > 1 or not lengths[0].isdigit():
            raise RefusalError(Refusal.HEADER, "Content-Length is not one number")
        return int(lengths[0])  # which the parser keeps below 2**64

    def expects_continue(self) -> bool:
        """Raises RefusalError if something else is expected."""
        expected = b", ".join(self.values(b"expect"))
        if expected and expected.lower() != b"100-continue":
            raise RefusalError(
                Refusal.EXPECTATION,
                f"Expect: {expected[:64].decode('latin-1')!r}; only 100-continue is known here",
            )
        return bool(expected)


SPECIAL = frozenset({b"connection", b"content-length", b"expect", b"host", b"transfer-encoding"})


def _split(url: bytes) -> tuple[bytes, str, bytes]:
    if url == b"*":
        return url, "*", b""
    try:
        parsed = httptools.parse_url(url)
        target = parsed.path or b"/"
        path = target.decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise RefusalError(Refusal.REQUEST_LINE, "the URL of the request is none") from None
    return target, unquote(path) if "%" in path else path, parsed.query or b""


def _bare_line_ends(buffer: bytearray, end: int) -> bool:
    return buffer.count(b"\n", 0, end) != buffer.count(b"\r\n", 0, end)


def _malformed(buffer: bytearray, what: str, in_line: bool = False) -> RefusalError:
    line = None if in_line else LINE.match(buffer)
    if line is None:
        if buffer.startswith(TLS_HANDSHAKE):
            what = "it begins as TLS does, and this port speaks plain HTTP"
        return RefusalError(Refusal.REQUEST_LINE, f"this is no request of HTTP/1.1: {what}")
    if (version := line[1].decode("ascii")) not in SPOKEN:
        return _version(version)
    return RefusalError(Refusal.HEADER, f"the headers of this request are malformed: {what}")


def _version(version: str) -> RefusalError:
    return RefusalError(
        Refusal.HTTP_VERSION, f"HTTP/{version} is not spoken here; HTTP/1.1 and 1.0 are"
    )


def _too_large(buffer: bytearray) -> RefusalError:
    if b"\n" not in buffer[:HEAD_BYTES]:
        return RefusalError(
            Refusal.URL_TOO_LONG,
            f"the request line takes more than {HEAD_BYTES} bytes",
            limit=HEAD_BYTES,
        )
    return RefusalError(
        Refusal.HEADERS_TOO_LARGE,
        f"request line and headers take more than {HEAD_BYTES} bytes",
        limit=HEAD_BYTES,
    )
