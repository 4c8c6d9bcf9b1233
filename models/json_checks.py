"""How checks of pydantic's models refuse a value: in the words of JSON, not of Python."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


def kind(value: Any) -> str:
    """What JSON calls a value, with its article."""
    return "null" if value is None else _KINDS.get(type(value), "a number")


def refusal(reason: str, message: str, **details: Any) -> PydanticCustomError:
    """What is wrong with a value, for a model's own check to raise; the model adds the place.

    reason: of those that the server's errors have, such as `wrong_type`, `empty`, `too_long` or
    `out_of_range`. details: numbers for programs to read.
    """
    context = {"reason": reason, "message": message, "details": details}
    return PydanticCustomError("refusal", "{message}", context)


def wrong_type(expected: str, value: Any) -> PydanticCustomError:
    """The refusal of a value of another JSON type than it should be."""
    return refusal("wrong_type", f"expected {expected}, got {kind(value)}")
