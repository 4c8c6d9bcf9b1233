"""Request bodies: read within a limit, checked field by field, refused with the reason.

Bodies are JSON whatever their Content-Type says: `curl -d` sends a form's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from starlette.requests import Request

from ..errors import Reason, RequestError
from ..service import Inputs

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


async def read_json(request: Request, limit: int, empty: Any = None) -> Any:
    """The body as JSON. Raises RequestError, before it has read more than `limit` bytes.

    empty: what no body stands for; None if there must be one.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    if not body and empty is not None:
        return empty
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(body, error) from None


def check_fields(body: Any, known: Collection[str]) -> dict[str, Any]:
    """The body as an object that has `inputs` and nothing unknown."""
    body = check_known(body, known)
    if "inputs" not in body:
        raise RequestError(Reason.MISSING_FIELD, "missing", "inputs")
    return body


def check_known(body: Any, known: Collection[str]) -> dict[str, Any]:
    """The body as an object without an unknown field."""
    if not isinstance(body, dict):
        raise RequestError(
            Reason.WRONG_TYPE, f'the body is {kind(body)}; expected an object: {{"inputs": "…"}}'
        )
    for field in body:
        if field not in known:
            raise RequestError(
                Reason.UNKNOWN_FIELD,
                f"unknown; known are {', '.join(known)}",
                field[:64],
                known=list(known),
            )
    return body


def check_flag(body: dict[str, Any], field: str) -> bool:
    """An optional boolean, false by default."""
    value = body.get(field, False)
    if not isinstance(value, bool):
        raise wrong_type(field, value, "a boolean")
    return value


def check_number(body: dict[str, Any], field: str, low: float, high: float) -> float | None:
    """An optional number above `low` and up to `high`; None where it is missing."""
    value = body.get(field)
    if field not in body:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(field, value, "a number")
    if not low < value <= high:
        raise RequestError(
            Reason.OUT_OF_RANGE, f"{value:g}; it must be above {low:g} and at most {high:g}", field
        )
    return float(value)


def check_texts(inputs: Inputs, limit: int) -> Inputs:
    """The same inputs, if they are strings with something in them, and at most `limit`."""
    if not inputs.texts:
        raise RequestError(Reason.EMPTY, "an empty list; expected at least one text", "inputs")
    if len(inputs.texts) > limit:
        raise RequestError(
            Reason.TOO_MANY,
            f"{len(inputs.texts)} texts; the limit is {limit}",
            "inputs",
            limit=limit,
            actual=len(inputs.texts),
        )
    for index, text in enumerate(inputs.texts):
        if not isinstance(text, str):
            expected = "a string or a list of strings" if inputs.single else "a string"
            raise wrong_type(inputs.field(index), text, expected)
        if not text or text.isspace():
            raise RequestError(Reason.EMPTY, "an empty text", inputs.field(index))
    return inputs


def wrong_type(field: str, value: Any, expected: str) -> RequestError:
    """A field of another type than it should be."""
    return RequestError(Reason.WRONG_TYPE, f"expected {expected}, got {kind(value)}", field)


def kind(value: Any) -> str:
    """What JSON calls a value."""
    return "null" if value is None else _KINDS.get(type(value), "a number")


def _too_large(limit: int) -> RequestError:
    return RequestError(
        Reason.BODY_TOO_LARGE, f"the body is larger than the limit of {limit} bytes", limit=limit
    )


def _invalid(body: bytearray, error: orjson.JSONDecodeError) -> RequestError:
    if not body:
        return RequestError(
            Reason.INVALID_JSON, 'the body is empty; expected JSON: {"inputs": "…"}'
        )
    try:
        body.decode()
    except UnicodeDecodeError as not_text:
        return RequestError(
            Reason.INVALID_UTF8,
            f"the body is not UTF-8: byte 0x{body[not_text.start]:02x} at position "
            f"{not_text.start}",
            position=not_text.start,
        )
    return RequestError(
        Reason.INVALID_JSON,
        f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})",
        position=error.pos,
        line=error.lineno,
        column=error.colno,
    )
