"""What can be wrong with a declaration or a record, in words for whoever sent it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ..models.errors import NestlingError

SHOWN = 64
"""Characters of a wrong value that its message repeats."""


@dataclass(frozen=True)
class Problem:
    """path: of the field, as in `experiments[0].variants[1].weight`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DeclarationError(NestlingError):
    """A declaration that nothing is taken from, with all its problems."""

    def __init__(self, problems: Collection[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


class FieldError(NestlingError):
    """A field of an outcome that holds what it cannot be here.

    field: its path in what was sent. details: lists for programs to read.
    """

    def __init__(self, message: str, field: str, **details: Any) -> None:
        super().__init__(f"{field}: {message}")
        self.message = message
        self.field = field
        self.details = details


def path_of(location: Collection[str | int]) -> str:
    """Of a field, as in `experiments[0].variants[1].weight`."""
    parts = (f"[{each}]" if isinstance(each, int) else f".{each[:SHOWN]}" for each in location)
    return "".join(parts).removeprefix(".")


def shown(value: object) -> str:
    """A wrong value as its message repeats it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and isfinite(value) and abs(value) >= 1e16:
        return f"{value:g}"
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python prints
        return "a whole number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class StoreError(NestlingError):
    """The database cannot be used; the message names it, without its password."""


class PlanMovedError(Exception):
    """Somebody else has declared another plan meanwhile."""
