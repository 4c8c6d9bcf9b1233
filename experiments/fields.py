"""Reading a mapping field by field, and noting all that is wrong with it, each with its path."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TypeVar

from ..models.cascade.policy import NAME
from ..models.errors import NestlingError

SHOWN = 64
"""Characters of a wrong value that its message repeats."""
T = TypeVar("T")


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


class Fields:
    """One mapping of a declaration.

    A field that cannot be used is noted in `problems` and read as the given stand-in, so that
    reading goes on; whoever began it raises in the end. Without `default` a field must be there.
    """

    def __init__(self, value: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self._taken: set[str] = set()
        self._values: Mapping[object, object] | None = None
        if isinstance(value, Mapping):
            self._values = value
        elif value is None and path:
            problems.append(Problem(path, "is missing"))
        else:
            problems.append(Problem(path, f"{shown(value)} is not a mapping of fields to values"))

    def has(self, key: str) -> bool:
        """Whether the field is given; it may be."""
        return self.value(key) is not None

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def note(self, key: str, message: str) -> None:
        """A problem with one field."""
        if self._values is not None:  # of what is no mapping, that is said already
            self.problems.append(Problem(self.at(key), message))

    def value(self, key: str) -> object:
        """As it stands; None if absent."""
        self._taken.add(key)
        return self._values.get(key) if self._values else None

    def name(self, key: str, default: str | None = None, form: re.Pattern[str] = NAME) -> str:
        """Of 1 to 64 letters, digits, `_`, `.`, `-`: safe in a label, a path and a hash's key."""
        stand_in = self.at(key)  # not a name, and no other's
        value = self._present(key, default)
        if value is None or value is default:
            return default or stand_in
        if not isinstance(value, str):
            self.note(key, f"{shown(value)} is not a string")
            return stand_in
        if not form.fullmatch(value):
            self.note(key, f"{shown(value)} is not of the form {form.pattern}")
            return stand_in
        return value

    def choice(self, key: str, known: Collection[str]) -> str | None:
        """One of the known; None where it is not."""
        value = self._present(key, None)
        if value is None:
            return None
        if not isinstance(value, str) or value not in known:
            self.note(key, f"{shown(value)} is none of {', '.join(known)}")
            return None
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._present(key, default)
        if value is None:
            return low
        if isinstance(value, bool) or not isinstance(value, int):
            self.note(key, f"{shown(value)} is not a whole number from {low} to {high}")
            return low
        if not low <= value <= high:
            self.note(key, f"{shown(value)} is not between {low} and {high}")
            return low
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        value = self._present(key, default)
        return low if value is None else self.as_number(value, key, low, high)

    def as_number(self, value: object, key: str, low: float, high: float) -> float:
        """A value that belongs to a field, perhaps one of several."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.note(key, f"{shown(value)} is not a number from {low:g} to {high:g}")
            return low
        if not low <= value <= high:  # NaN is not, either
            self.note(key, f"{shown(value)} is not between {low:g} and {high:g}")
            return low
        return float(value)

    def time(self, key: str) -> datetime | None:
        """With a zone; None where it is absent or wrong."""
        value = self.value(key)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                self.note(key, f"{shown(value)} is not a time such as 2026-12-01T09:00:00Z")
                return None
        if value is None:
            return None
        if not isinstance(value, datetime):
            self.note(key, f"{shown(value)} is not a time such as 2026-12-01T09:00:00Z")
            return None
        if value.utcoffset() is None:
            self.note(key, f"{value.isoformat()} has no zone: write {value.isoformat()}Z for UTC")
            return None
        return value

    def items(self, key: str, least: int, most: int) -> list[tuple[object, str]]:
        """The entries of a list, each with its path; none where the field is absent."""
        value = self.value(key)
        if value is None and least == 0:
            return []
        if not isinstance(value, list):
            self.note(key, f"{shown(value)} is not a list" if value is not None else "is missing")
            return []
        if not least <= len(value) <= most:
            self.note(key, f"has {len(value)} entries, which is not between {least} and {most}")
            return []
        return [(entry, f"{self.at(key)}[{index}]") for index, entry in enumerate(value)]

    def done(self) -> None:
        """Note every field that nobody asked for."""
        for key in self._values or ():
            if key not in self._taken:
                known = ", ".join(sorted(self._taken))
                self.note(str(key)[:SHOWN], f"is not known; known are {known}")

    def _present(self, key: str, default: T | None) -> object:
        value = self.value(key)
        if value is None:
            if default is None:
                self.note(key, "is missing")
            return default
        return value


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
