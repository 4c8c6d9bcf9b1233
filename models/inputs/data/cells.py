"""Cells as texts and labels. What is neither is refused, never rendered as something it was not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ...errors import DataError
from .naming import shortened

ABSENT = object()
"""The value of a key that a row does not have."""
KINDS: dict[type, str] = {
    str: "a text",
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def as_texts(values: Sequence[object], column: str, path: Path) -> tuple[str, ...]:
    """Raises DataError that names the first row without a text."""
    return tuple(
        _text(value, f"{path}: row {row}: {column}", "a text")
        for row, value in enumerate(values, start=1)
    )


def as_groups(values: Sequence[object], column: str, path: Path) -> tuple[str, ...]:
    """As `as_labels`; truth values count as `true` and `false` where there are no others.

    Raises DataError that names the first row without a value.
    """
    if all(isinstance(value, bool) for value in values):
        return tuple("true" if value else "false" for value in values)
    return as_labels(values, column, path, "groups")


def as_labels(
    values: Sequence[object],
    column: str,
    path: Path,
    kind: str = "labels",
    otherwise: Mapping[int, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Whole numbers count as the text of their digits; not beside texts, which may look the same.

    otherwise: labels of rows, counted from 1, whose cell may hold nothing.
    Raises DataError that names the first row without a label.
    """
    labels = []
    first: tuple[int, type] | None = None
    for row, value in enumerate(values, start=1):
        if row in otherwise and is_nothing(value):
            labels.append(otherwise[row])
            continue
        where = f"{path}: row {row}: {column}"
        whole = isinstance(value, int) and not isinstance(value, bool)
        text = str(value) if whole else value
        labels.append(_text(text, where, "a text or a whole number"))
        first = first or (row, type(value))
        if type(value) is not first[1]:
            raise DataError(
                f"{where} is {shown(value)}, but that of row {first[0]} is {kind_of(first[1])}; "
                f"{kind} are all texts or all whole numbers"
            )
    return tuple(labels)


def is_nothing(value: object) -> bool:
    """Whether a row lacks the value: no such key, `null`, an empty cell of CSV."""
    return value is ABSENT or value is None or value == ""


def fault_of(value: object, expected: str = "a text") -> str | None:
    """What is wrong with a cell that is to hold a text; None if nothing is."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and value.strip():
        return None  # nearly all of them
    if value is ABSENT:
        return "is missing"
    if value is None:
        return "is empty"
    if not isinstance(value, str):
        return f"is {shown(value)}; expected {expected}"
    if not any(character.isprintable() and not character.isspace() for character in value):
        said = f" but for invisible characters, {shortened(ascii(value))}" if value.strip() else ""
        return f"is empty{said}"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return f"has half a character, {shortened(ascii(value))}: a surrogate"
    return None


def _text(value: object, where: str, expected: str) -> str:
    fault = fault_of(value, expected)
    if fault is not None or not isinstance(value, str):
        raise DataError(f"{where} {fault}")
    return value


def shown(value: object) -> str:
    """A value and its kind, as a message repeats them."""
    if isinstance(value, str):
        return f"the text {shortened(repr(value))}"
    rendered = json.dumps(value, ensure_ascii=False, default=str)
    return f"{kind_of(type(value))}, {shortened(rendered)}"


def kind_of(kind: type) -> str:
    """What a message calls values of a type."""
    known = (KINDS[each] for each in kind.__mro__ if each in KINDS)
    return next(known, f"of type {kind.__name__}")
