"""Bytes to text, and columns that a file may lack or have twice."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import DataError
from .naming import listed

OTHERS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
"""How files begin that are in another encoding."""


def decode(content: bytes, path: Path) -> str:
    """UTF-8, with or without a byte order mark. Raises DataError that names the line at fault."""
    for mark, name in OTHERS.items():
        if content.startswith(mark):
            raise DataError(f"{path}: is {name}; save it as UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(content[: error.start].splitlines(keepends=True)) or 1
        if content[: error.start].endswith((b"\n", b"\r")):
            line += 1
        raise DataError(
            f"{path}: line {line}: is not UTF-8 (byte 0x{content[error.start]:02x})"
        ) from None


def find_columns(
    names: Iterable[str],
    wanted: Sequence[str],
    path: Path,
    hint: str = "",
    optional: Sequence[str] = (),
) -> list[str]:
    """The wanted names, and those of the optional ones that are there.

    Raises DataError unless each wanted name is there, and none of these more than once.
    """
    present = list(names)
    found = [*wanted, *(column for column in optional if column in present)]
    for column in found:
        if column not in present:
            there = listed(present) or "none"
            raise DataError(f"{path}: no column {column!r}; there are {there}{hint}")
        if present.count(column) > 1:
            raise DataError(f"{path}: the column {column!r} is there {present.count(column)} times")
    return found
