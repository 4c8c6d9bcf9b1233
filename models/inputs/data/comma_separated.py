"""CSV: every cell is the text that is written there."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from .decoding import decode, find_columns

LONGEST_CELL = 2**31 - 1
"""Characters; the module's own limit, 131,072, is less than some documents have."""


def read(content: bytes, columns: Sequence[str], path: Path) -> dict[str, list[object]]:
    """Values by column. The first row names the columns; empty lines are no rows.

    Raises DataError for quotes that do not match and for rows of other length than the first.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(decode(content, path), newline=""), strict=True)
    found: dict[str, list[object]] = {column: [] for column in columns}
    header: list[str] | None = None
    row = 0
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = cells
                hint = "" if len(cells) > 1 else "; cells are separated by commas"
                find_columns(header, columns, path, hint)
                places = [header.index(column) for column in columns]
                continue
            row += 1
            if len(cells) != len(header):
                raise DataError(
                    f"{path}: row {row}, which ends at line {reader.line_num}: has {len(cells)} "
                    f"cells, but the first line names {len(header)} columns"
                )
            for column, place in zip(columns, places, strict=True):
                found[column].append(cells[place])
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: {_reason(error)}") from None
    return found


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "the file ends within a quoted cell"
    return f"is not CSV: {error}"
