"""Request bodies: read within a limit, checked field by field, refused with the reason.

Bodies are JSON whatever their Content-Type says: `curl -d` sends a form's.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Any

import orjson
from starlette.requests import Request

from ...models.json_kinds import kind
from ..core.constraints import RequestConstraints
from ..core.requests import Inputs
from ..errors import Reason, RequestError
from .request_headers import header
from .wire import wire_of

EXAMPLE = '{"inputs": "…"}'
LONGEST_DEADLINE_MS = 3_600_000
INFINITE = "number is infinity when parsed as double"
"""What the parser says of 1e999."""
NOT_FINITE = re.compile(r"-?(NaN|Infinity|Inf)\b", re.IGNORECASE)


@dataclass(frozen=True)
class NamedInputs(Inputs):
    """Inputs of a protocol that calls them something else than `inputs`."""

    name: str = "inputs"

    def field(self, index: int) -> str:
        return self.name if self.single else f"{self.name}[{index}]"


async def read_json(request: Request, limit: int, empty: Any = None, example: str = EXAMPLE) -> Any:
    """The body as JSON. Raises RequestError, before it has read more than `limit` bytes.

    empty: what no body stands for; None if there must be one. example: what the error for a
    missing body shows.
    """
    body = await read_body(request, limit)
    return empty if not body and empty is not None else parse_json(body, example)


async def read_body(request: Request, limit: int) -> bytes | bytearray:
    """The body. Raises RequestError before it has read more than `limit` bytes.

    A compressed one is refused: a small body could become any number of bytes.
    """
    encoding = header(request, "content-encoding") or "identity"
    if encoding.lower() != "identity":
        raise RequestError(
            Reason.UNSUPPORTED_ENCODING,
            f"{encoding[:64]!r}; a body comes as it is, not compressed",
            "Content-Encoding",
            headers={"Accept-Encoding": "identity"},
        )
    declared = header(request, "content-length") or ""
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    wire = wire_of(request.scope)
    if wire and (there := wire.take_body()) is not None:
        if len(there) > limit:
            raise _too_large(limit)
        return there
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return body


def parse_json(body: bytes | bytearray, example: str = EXAMPLE) -> Any:
    """A body as JSON. Raises RequestError that says where it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(body, error, example) from None


def check_fields(
    body: Any, known: Collection[str], required: str = "inputs", example: str = EXAMPLE
) -> dict[str, Any]:
    """The body as an object that has what is required and nothing unknown."""
    fields = check_known(body, known, example)
    if required not in fields:
        raise RequestError(Reason.MISSING_FIELD, "missing", required)
    return fields


def check_known(
    body: Any, known: Collection[str], example: str = EXAMPLE, within: str = ""
) -> dict[str, Any]:
    """A body, or a part of one, as an object without an unknown field.

    within: where the part stands, with a dot at the end.
    """
    if not isinstance(body, dict):
        raise RequestError(
            Reason.WRONG_TYPE, f"the body is {kind(body)}; expected an object: {example}"
        )
    _refuse_unknown(body, known, within)
    return body


def check_object(
    body: dict[str, Any], field: str, known: Collection[str] | None = None, within: str = ""
) -> dict[str, Any]:
    """An optional object, empty by default. known: its fields; None for any.

    within: where the field stands, with a dot at the end.
    """
    value = body.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(within + field, value, "an object")
    if known is not None:
        _refuse_unknown(value, known, f"{within}{field}.")
    return value


def check_contract(
    fields: dict[str, Any], model: str, started: float, within: str = ""
) -> RequestConstraints:
    """What a request asks of its answers. started: `perf_counter` when it came.

    within: where the fields stand, with a dot at the end.
    """
    deadline = check_number(fields, "deadline_ms", 0, LONGEST_DEADLINE_MS, within)
    max_cost = check_number(fields, "max_cost", 0, inf, within)
    min_confidence = check_number(fields, "min_confidence", 0, 1, within)
    return RequestConstraints(
        model,
        inf if deadline is None else started + deadline / 1e3,
        inf if max_cost is None else max_cost,
        min_confidence or 0.0,
        arrived=started,
    )


def check_flag(body: dict[str, Any], field: str, default: bool = False, within: str = "") -> bool:
    """An optional boolean; null stands for the default, as in what typed clients send."""
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong_type(within + field, value, "a boolean")
    return value


def check_number(
    body: dict[str, Any], field: str, low: float, high: float, within: str = ""
) -> float | None:
    """An optional number above `low` and up to `high`; None where it is missing or null."""
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(within + field, value, "a number")
    if not low < value <= high:
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{value:g}; it must be above {low:g} and at most {high:g}",
            within + field,
        )
    return float(value)


def one_or_many(value: Any) -> Inputs:
    """A text, or a list of them; not checked yet."""
    return Inputs(value, single=False) if isinstance(value, list) else Inputs([value], single=True)


def check_texts(inputs: Inputs, limit: int, name: str = "inputs") -> Inputs:
    """The same inputs, if they are strings with something in them, and at most `limit`."""
    check_count(len(inputs), limit, name)
    for index, text in enumerate(inputs.texts):
        if not isinstance(text, str):
            expected = "a string or a list of strings" if inputs.single else "a string"
            raise wrong_type(inputs.field(index), text, expected)
        if not text or text.isspace():
            raise RequestError(Reason.EMPTY, "an empty text", inputs.field(index))
    return inputs


def check_count(count: int, limit: int, name: str, what: str = "text") -> None:
    """Raises RequestError if there is none, or more than `limit`."""
    if not count:
        raise RequestError(Reason.EMPTY, f"an empty list; expected at least one {what}", name)
    if count > limit:
        raise RequestError(
            Reason.TOO_MANY,
            f"{count} {what}s; the limit is {limit}",
            name,
            limit=limit,
            actual=count,
        )


def wrong_type(field: str, value: Any, expected: str) -> RequestError:
    """A field of another type than it should be."""
    return RequestError(Reason.WRONG_TYPE, f"expected {expected}, got {kind(value)}", field)


def shown(value: Any) -> str:
    """A value in an error's message: the beginning of a string, else what JSON calls it.

    A list is never repeated: one nested as deep as JSON may be is more than Python can print.
    """
    if isinstance(value, str):
        return repr(value[:64])
    return str(value) if type(value) in (int, float) else kind(value)


def _refuse_unknown(fields: dict[str, Any], known: Collection[str], within: str = "") -> None:
    for field in fields:
        if field not in known:
            raise RequestError(
                Reason.UNKNOWN_FIELD,
                f"unknown; known are {', '.join(known)}",
                within + field[:64],
                known=list(known),
            )


def _too_large(limit: int) -> RequestError:
    return RequestError(
        Reason.BODY_TOO_LARGE, f"the body is larger than the limit of {limit} bytes", limit=limit
    )


def _invalid(body: bytes | bytearray, error: orjson.JSONDecodeError, example: str) -> RequestError:
    if not body:
        return RequestError(Reason.INVALID_JSON, f"the body is empty; expected JSON: {example}")
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
        f"{_what_is_wrong(body, error)} (line {error.lineno}, column {error.colno})",
        position=error.pos,
        line=error.lineno,
        column=error.colno,
    )


def _what_is_wrong(body: bytes | bytearray, error: orjson.JSONDecodeError) -> str:
    if error.msg == INFINITE:
        return "a number in the body is beyond what a float64 holds"
    if NOT_FINITE.match(body.decode(), error.pos):
        return "the body is not JSON: NaN and Infinity are no numbers there"
    return f"the body is not JSON: {error.msg}"
