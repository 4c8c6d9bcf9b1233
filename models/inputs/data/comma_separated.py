"""CSV: every cell is the text that is written there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...errors import DataError
from .decoding import decode, find_columns

LONGEST_CELL = 2**31 - 1
"""Characters; the module's own limit, 131,072, is less than some documents have."""


def read(
    content: bytes, columns: Sequence[str], optional: Sequence[str], path: Path
) -> dict[str, list[object]]:
    """Values by column, as `cells_of` finds the rows; optional columns may be missing.

    Raises DataError for quotes that do not match and for rows of other length than the first.
    """
    rows = cells_of(io.StringIO(decode(content, path), newline=""), path)
    header = next(rows, None)
    if header is None:
        return {column: [] for column in columns}
    places = {c: header.index(c) for c in check_header(header, columns, path, optional)}
    found: dict[str, list[object]] = {column: [] for column in places}
    for cells in rows:
        for column, place in places.items():
            found[column].append(cells[place])
    return found


def check_header(
    header: Sequence[str], columns: Sequence[str], path: Path, optional: Sequence[str] = ()
) -> list[str]:
    """The columns that are there. Raises DataError unless each of `columns` is, and once."""
    hint = "" if len(header) > 1 else "; cells are separated by commas"
    return find_columns(header, columns, path, hint, optional)


def cells_of(lines: Iterable[str], path: Path) -> Iterator[list[str]]:
    """The first row, which names the columns, then the others; empty lines are no rows.

    lines: with their ends. Raises DataError that names the line, when it comes to it.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, strict=True)
    width = row = 0
    try:
        for cells in reader:
            if not cells:
                continue
            if not width:
                width = len(cells)
            elif len(cells) != width:
                raise DataError(
                    f"{path}: row {row}, which ends at line {reader.line_num}: has {len(cells)} "
                    f"cells, but the first line names {width} columns"
                )
            row += 1
            yield cells
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {_reason(error)}") from None


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "the file ends within a quoted cell"
    return f"is not CSV: {error}"
