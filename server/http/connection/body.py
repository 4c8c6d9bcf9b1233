"""Where a body in chunks ends, so that what is behind it can wait unread."""

from __future__ import annotations

import re

from ...errors import Refusal
from .refusal import RefusalError

SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}(?:[;\r]|$)")
SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,15}(;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
SIZE_BYTES = 18
"""Of a chunk's first line without extensions, at most."""
TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n")
SPARE_BYTES = 8 * 1024
"""That extensions and trailers of one body may take together."""


class Chunked:
    """A body in chunks (RFC 9112, section 7.1). Extensions and trailers are dropped.

    whole: all of it has been taken.
    """

    def __init__(self) -> None:
        self.whole = False
        self._left = 0
        self._ends = False  # behind the bytes of a chunk stands a line end
        self._trailers = False
        self._spare = SPARE_BYTES

    def take(self, buffer: bytearray) -> bytearray:
        """The bytes of all chunks that there are, complete or not. Raises RefusalError."""
        body, at = bytearray(), 0
        while not self.whole:
            if self._left:
                piece = buffer[at : at + self._left]
                body += piece
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
            after = self._trailer(buffer, at) if self._trailers else self._size(buffer, at)
            if after is None:
                break
            at = after
        del buffer[:at]
        return body

    def _size(self, buffer: bytearray, at: int) -> int | None:
        """Behind the end of a chunk, or the line before one; None if that is not there yet."""
        if self._ends:
            if not b"\r\n".startswith(buffer[at : at + 2]):
                raise RefusalError(Refusal.CHUNK, "a chunk is longer than it says")
            if len(buffer) < at + 2:
                return None
            self._ends = False
            return at + 2
        if at == len(buffer):
            return None
        if not SIZE.match(buffer[at : at + SIZE_BYTES]):
            raise RefusalError(Refusal.CHUNK, "a chunk does not begin with its size")
        line = self._line(buffer, at)
        if line is None:
            return None
        if not SIZE_LINE.fullmatch(line):
            raise RefusalError(Refusal.CHUNK, "the line with a chunk's size is malformed")
        size, _, extension = line.rstrip().partition(b";")
        self._spend(len(extension))
        self._left = int(size, 16)
        self._ends, self._trailers = self._left > 0, self._left == 0
        return at + len(line)

    def _trailer(self, buffer: bytearray, at: int) -> int | None:
        """Behind a trailer; None if it is not there yet."""
        line = self._line(buffer, at)
        if line is None:
            return None
        self._spend(len(line))
        self.whole = line == b"\r\n"
        if not self.whole and not TRAILER.fullmatch(line):
            raise RefusalError(Refusal.HEADER, "a trailer behind the last chunk is malformed")
        return at + len(line)

    def _line(self, buffer: bytearray, at: int) -> bytearray | None:
        end = buffer.find(b"\n", at, at + self._spare + SIZE_BYTES)
        if end < 0:
            self._check(self._spare + SIZE_BYTES - (len(buffer) - at))
            return None
        return buffer[at : end + 1]

    def _spend(self, count: int) -> None:
        self._spare -= count
        self._check(self._spare)

    def _check(self, spare: int) -> None:
        if spare < 0:
            raise RefusalError(
                Refusal.HEADERS_TOO_LARGE,
                f"extensions and trailers of chunks take more than {SPARE_BYTES} bytes",
                limit=SPARE_BYTES,
            )
