"""CSV: every cell is the text that is written there."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...inputs.data.comma_separated import cells_of, check_header
from ...inputs.data.decoding import OTHERS
from . import json_lines
from .rows import Row, RowBlock

BLOCK_ROWS, BLOCK_CHARACTERS = 2048, 2**18


@dataclass(frozen=True)
class CellBlock(RowBlock):
    """names: of the columns. cells: of each row."""

    names: list[str]
    cells: list[list[str]]

    def rows(self, columns: Sequence[str], source: str) -> list[Row]:
        return [dict(zip(self.names, cells, strict=True)) for cells in self.cells]


def blocks(path: Path, columns: Sequence[str]) -> Iterator[CellBlock]:
    """Always the same of the same file. Raises DataError as `cells_of` does."""
    with path.open("rb") as file:
        rows = cells_of(_lines(file, path), path)
        names = next(rows, None)
        if names is None:
            return
        check_header(names, list(dict.fromkeys((*columns, *names))), path)
        block: list[list[str]] = []
        characters = 0
        for cells in rows:
            block.append(cells)
            characters += sum(map(len, cells))
            if len(block) == BLOCK_ROWS or characters >= BLOCK_CHARACTERS:
                yield CellBlock(names, block)
                block, characters = [], 0
        if block:
            yield CellBlock(names, block)


def _lines(file: Iterable[bytes], path: Path) -> Iterator[str]:
    """With their ends, which may be carriage returns alone."""
    number = 0
    for content in file:
        if not number:
            for mark, name in OTHERS.items():
                if content.startswith(mark):
                    raise DataError(f"{path}: is {name}; save it as UTF-8")
            content = content.removeprefix(codecs.BOM_UTF8)
        for line in content.splitlines(keepends=True):
            number += 1
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                raise DataError(
                    f"{path}: line {number}: is not UTF-8 (byte 0x{byte:02x})"
                ) from None


def head(names: Iterable[str]) -> bytes:
    """The line that names the columns."""
    return _written([list(names)])


def encode(rows: Sequence[Row], names: Sequence[str], table: dict[str, list[Any]]) -> bytes:
    """A line per row: its own columns, then the answer's; null is an empty cell. names: of its own
    columns, as the input has them.
    """
    return _written(
        [*(_cell(row.get(name)) for name in names), *map(_cell, values)]
        for row, *values in zip(rows, *table.values(), strict=True)
    )


def _cell(value: object) -> object:
    """What is no text or number as JSON."""
    if value is None:
        return ""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    rendered = json_lines.dumps(value).decode()
    return rendered[1:-1] if rendered.startswith('"') else rendered


def _written(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # A bare carriage return ends a row for every reader; not every Python's writer quotes it.
        returns = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (quoted if returns else plain).writerow(row)
    return text.getvalue().encode("utf-8", "surrogatepass")
