"""What a file may say: values within their limits, with errors that name them."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of all that stands as it is in paths, headers, and labels of metrics."""


def check_name(name: str, kind: str) -> None:
    """Raises ValueError for what cannot name a student, a cascade or a head, as `kind` says."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{kind} {name[:64]!r}: its name is not of the form {NAME.pattern}")


def number_between(low: float, high: float, value: Any, what: str) -> float:
    """A number that came from a file. Raises ValueError that says `what` it is, and the limits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{what}: {str(value)[:32]} is not between {low:g} and {high:g}")
    return float(value)


def whole_number(value: Any, what: str) -> int:
    """One of 1 or more. Raises ValueError that says `what` it is."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{what}: {str(value)[:32]} is no whole number of 1 or more")
    return value


def distinct_names(values: Any, what: str) -> tuple[str, ...]:
    """Names that can be told apart and printed. Raises ValueError that says `what` they are."""
    if not isinstance(values, list) or not values:
        raise ValueError(f"{what}: is no list of names")
    for value in values:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise ValueError(f"{what}: {value!r:.64} is no name that can be printed")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{what}: {twice!r} stands there twice")
    return tuple(values)
