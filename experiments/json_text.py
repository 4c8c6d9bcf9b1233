"""JSON, without what would be read silently as something else: a key that is there twice."""

from __future__ import annotations

import json
import re

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]\n]')
COLON = re.compile(r"\s*:")


def read_json(text: str) -> object:
    """None where there is nothing. Raises ValueError that names the line, RecursionError."""
    if not text.strip():
        return None
    try:
        value: object = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        message = f"line {error.lineno}, column {error.colno}: is not JSON: {error.msg}"
        raise ValueError(message) from None
    if found := key_twice(text):
        key, line = found
        raise ValueError(f"line {line}: {key!r} is there twice")
    return value


def key_twice(text: str) -> tuple[str, int] | None:
    """The first key that its object has already, and its line. text: JSON, without a fault."""
    line = 1
    open_: list[set[str]] = []
    for token in TOKEN.finditer(text):
        match token[0][0]:
            case "\n":
                line += 1
            case "{" | "[":
                open_.append(set())
            case "}" | "]":
                open_.pop()
            case _ if COLON.match(text, token.end()):
                key = json.loads(token[0])
                if key in open_[-1]:
                    return key, line
                open_[-1].add(key)
    return None


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
