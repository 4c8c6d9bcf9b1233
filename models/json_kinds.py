"""What JSON calls a value, for messages: its sender may know no Python."""

from __future__ import annotations

from typing import Any

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


def kind(value: Any) -> str:
    """With its article."""
    return "null" if value is None else _KINDS.get(type(value), "a number")
