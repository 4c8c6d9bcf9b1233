"""A setting, declared once: its flag, its variable, its help and its limits follow from that."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from math import inf
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ..models.errors import NestlingError

T = TypeVar("T")
PREFIX = "NESTLING_"
"""Of the variables in the environment."""


@dataclass(frozen=True)
class Option:
    """What is declared of one field of a dataclass.

    kind: its type, where a `Literal` lists the only values. help: what it means, in a sentence.
    low, high: the least and the greatest value of a number. None, where the type has it, is outside
    of these limits.
    """

    name: str
    kind: Any
    default: Any
    help: str
    low: float
    high: float

    @property
    def flag(self) -> str:
        """On the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return PREFIX + self.name.upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values that it takes; none if that is left open."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    def check(self, value: Any) -> None:
        """Raises NestlingError that names field, value and limit."""
        if self.choices and value not in self.choices:
            raise NestlingError(f"{self.name}: {value!r} is none of {', '.join(self.choices)}")
        if value is None or not isinstance(value, int | float):
            return
        if not value >= self.low:
            raise NestlingError(f"{self.name}: {value} is below {self.low}")
        if value > self.high:
            raise NestlingError(f"{self.name}: {value} is above {self.high}")


def option(default: T, help: str, low: float = -inf, high: float = inf) -> T:
    """A dataclass field with what `Option` says of it."""
    return field(default=default, metadata={"help": help, "low": low, "high": high})


@cache
def options_of(settings: type) -> tuple[Option, ...]:
    """The options of a dataclass all of whose fields are declared by `option`, in their order."""
    kinds = get_type_hints(settings)
    return tuple(
        Option(field.name, kinds[field.name], field.default, **field.metadata)
        for field in fields(settings)
    )
