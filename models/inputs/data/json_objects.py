"""JSON: an object per line, or a list of objects; one row each."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import DataError
from .cells import ABSENT
from .decoding import decode, find_columns

LINES = re.compile(r"\r\n|\n|\r")
"""Ends of lines: not all that Unicode counts as such, which may stand within a JSON string."""


class _Object(dict[str, object]):
    """twice: a key that is there more than once."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        counted = Counter(key for key, _ in pairs) if len(self) < len(pairs) else Counter[str]()
        self.twice = {key for key, count in counted.items() if count > 1}


def read_lines(
    content: bytes, columns: Sequence[str], optional: Sequence[str], path: Path
) -> dict[str, list[object]]:
    """Values by column, from a file with an object per line; empty lines are no rows.

    optional: columns that no row need have.

    Raises DataError that names the line which is not JSON, and the row which is no object.
    """
    lines = enumerate(LINES.split(decode(content, path)), start=1)
    rows = [parse(line, f"{path}: line {number}") for number, line in lines if line.strip()]
    return _columns(rows, columns, optional, path)


def read_document(
    content: bytes, columns: Sequence[str], optional: Sequence[str], path: Path
) -> dict[str, list[object]]:
    """Values by column, from one list of objects, or from lines.

    Raises DataError as `read_lines` does.
    """
    text = decode(content, path)
    if not text.lstrip().startswith("["):
        return read_lines(content, columns, optional, path)
    rows = parse(text, str(path))
    if not isinstance(rows, list):
        raise RuntimeError("what begins with a bracket is a list")
    return _columns(rows, columns, optional, path)


def parse(text: str, where: str) -> object:
    """One JSON value. Raises DataError that says where it is none, and which column."""
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise DataError(f"{where}: {line}column {error.colno}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise DataError(f"{where}: is nested too deeply") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise DataError(f"{where}: {error}") from None


def repeated_keys(value: Mapping[str, object]) -> list[str]:
    """Keys that an object, if `parse` has read it, has more than once."""
    return sorted(value.twice) if isinstance(value, _Object) else []


def check_object(value: object, columns: Sequence[str], where: str) -> dict[str, object]:
    """The same value. Raises DataError unless it is an object that has no column twice."""
    if not isinstance(value, _Object):
        expected = ", ".join(f'"{column}": …' for column in columns)
        raise DataError(f"{where}: is no object; expected {{{expected}}}")
    if twice := [column for column in columns if column in value.twice]:
        raise DataError(f"{where}: {twice[0]!r} is there twice")
    return value


def _columns(
    rows: Iterable[object], columns: Sequence[str], optional: Sequence[str], path: Path
) -> dict[str, list[object]]:
    every = [*columns, *optional]
    objects = [
        check_object(value, every, f"{path}: row {row}") for row, value in enumerate(rows, start=1)
    ]
    if objects:
        find_columns(dict.fromkeys(key for each in objects for key in each), columns, path)
    return {column: [each.get(column, ABSENT) for each in objects] for column in every}
