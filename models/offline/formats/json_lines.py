"""JSON Lines: an object per line."""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ...errors import DataError
from ...inputs.data.decoding import OTHERS, decode
from ...inputs.data.json_objects import LINES, check_object, parse
from .rows import Row, RowBlock

BLOCK_BYTES = 2**17
"""Of the lines that are handed out at once: of short texts some two thousand."""
DOCUMENT_ROWS = 1024
LONG_NUMBER = re.compile(rb"\d{19}")
"""What has so many digits may not fit into 64 bits, and the fast parser would round it."""


@dataclass(frozen=True)
class LineBlock(RowBlock):
    """Whole lines. line: the number of the first, from 1."""

    data: bytes
    line: int

    def rows(self, columns: Sequence[str], source: str) -> Iterator[Row]:
        quoted = [orjson.dumps(column) for column in columns]
        plain = LONG_NUMBER.search(self.data) is None
        for number, line in enumerate(self.data.split(b"\n"), self.line):
            if not line or line.isspace():
                continue
            once = all(line.count(name) == 1 for name in quoted)  # else one may be there twice
            if plain and once:
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError:
                    row = None
                if type(row) is dict:
                    yield row
                    continue
            yield from _slowly(line, columns, f"{source}: line {number}")


def _slowly(line: bytes, columns: Sequence[str], where: str) -> Iterator[Row]:
    """The same with an error that says what is wrong. One line, but in files that end lines by a
    carriage return.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not UTF-8 (byte 0x{line[error.start]:02x})") from None
    for piece in LINES.split(text):
        if piece.strip():
            yield check_object(parse(piece, where), columns, where)


def blocks(read: Callable[[int], bytes], source: str) -> Iterator[LineBlock]:
    """The lines of a stream. read: so many bytes, or fewer; none at its end.

    Always the same blocks of the same bytes, where `read` gives all that it is asked for.
    """
    rest, line = b"", 1
    data = read(BLOCK_BYTES)
    for mark, name in OTHERS.items():
        if data.startswith(mark):
            raise DataError(f"{source}: is {name}; save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    while data:
        whole, end, begun = data.rpartition(b"\n")
        if end:
            block = LineBlock(rest + whole + end, line)
            line += block.data.count(b"\n")
            rest = begun
            yield block
        else:
            rest += data
        data = read(BLOCK_BYTES)
    if rest:
        yield LineBlock(rest, line)


def document_blocks(path: Path) -> Iterator[LineBlock]:
    """Of a file that is one list of objects, or lines. The list is held in memory."""
    content = path.read_bytes()
    if not content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        with path.open("rb") as file:
            yield from blocks(file.read, str(path))
        return
    rows = _list(decode(content, path), path)
    for first in range(0, len(rows), DOCUMENT_ROWS):
        part = rows[first : first + DOCUMENT_ROWS]
        for row, value in enumerate(part, first + 1):
            check_object(value, (), f"{path}: row {row}")
        yield LineBlock(b"".join(json.dumps(value).encode() + b"\n" for value in part), first + 1)


def _list(text: str, path: Path) -> list[object]:
    found = parse(text, str(path))
    if not isinstance(found, list):
        raise RuntimeError("what begins with a bracket is a list")
    return found


def encode(rows: Sequence[Row], kept: Mapping[str, str], table: dict[str, list[Any]]) -> bytes:
    """A line per row: its own columns, then the answer's. kept: those that are called otherwise."""
    names = list(table)
    lines = []
    for row, *values in zip(rows, *table.values(), strict=True):
        own = row
        if not kept.keys().isdisjoint(row):
            own = {kept.get(name, name): value for name, value in row.items()}
        lines.append(dumps({**own, **dict(zip(names, values, strict=True))}))
    lines.append(b"")
    return b"\n".join(lines)


def dumps(value: object) -> bytes:
    """JSON; what it has no form for as a text, bytes in base64."""
    try:
        return orjson.dumps(value, default=_text)
    except TypeError:  # a whole number of more than 64 bits, half a character
        return json.dumps(value, separators=(",", ":"), default=_text).encode()


def _text(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
