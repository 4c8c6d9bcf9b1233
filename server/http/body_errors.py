"""Why a body is refused, in the words of JSON: what its model says, and what is no JSON at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ...models.json_checks import kind, wrong_type
from ..errors import Reason, RequestError

Place = Sequence[int | str]
"""Where an error is: names of fields, positions in lists, and the tags of types that were tried."""
EXPECTED = {
    "string_type": "a string",
    "bool_type": "a boolean",
    "int_type": "an integer",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
"""What was expected, by pydantic's type of the error."""
LIMITS = {"gt": "above {:g}", "ge": "{} or more", "lt": "below {:g}", "le": "at most {:g}"}
"""What a number must be, by its constraint."""
INFINITE = "number is infinity when parsed as double"
"""The parser's message for 1e999."""
NOT_FINITE = re.compile(r"-?(NaN|Infinity|Inf)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Otherwise:
    """Words for the error of a field's `Literal`, which follow the value that is none of it."""

    words: str


def expects(type_: type, words: str) -> BeforeValidator:
    """A check of a value's JSON type, for where the words of EXPECTED would say too little."""

    def check(value: Any) -> Any:
        if not isinstance(value, type_):
            raise wrong_type(words, value)
        return value

    return BeforeValidator(check)


def refused(
    value: Any, model: type[BaseModel], error: ValidationError, example: str
) -> RequestError:
    """The error for a value that a model has refused.

    Of several errors it names an unknown field first, then a missing one, then the first in the
    model's order. Where a value could have several types, the error is that of the type which fits
    the longest beginning of the value. example: what is shown to whoever sent no object.
    """
    if not isinstance(value, dict):
        message = f"the body is {kind(value)}; expected an object: {example}"
        return RequestError(Reason.WRONG_TYPE, message)
    for unknown in _unknown(value, model, ""):
        return unknown
    found = error.errors(include_url=False)
    first = min(found, key=lambda each: each["type"] != "missing")
    same = [each for each in found if _names(each["loc"]) == _names(first["loc"])]
    return _translated(max(same, key=_progress), same, model)


def named(place: Place) -> str:
    """A place as errors show it, such as `inputs[3]` or `parameters.top_k`."""
    parts = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in _bare(place))
    return "".join(parts).removeprefix(".")


def shown(value: Any) -> str:
    """A value in an error's message: the beginning of a string, else what JSON calls it.

    A list is never repeated: one nested as deep as JSON may be is more than Python can print.
    """
    if isinstance(value, str):
        return repr(value[:64])
    return str(value) if type(value) in (int, float) else kind(value)


def not_json(body: bytes | bytearray, error: orjson.JSONDecodeError, example: str) -> RequestError:
    """The error for a body that the parser refuses, with the place of what is wrong."""
    if not body:
        return RequestError(Reason.INVALID_JSON, f"the body is empty; expected JSON: {example}")
    try:
        text = body.decode()
    except UnicodeDecodeError as not_text:
        return RequestError(
            Reason.INVALID_UTF8,
            f"the body is not UTF-8: byte 0x{body[not_text.start]:02x} at position "
            f"{not_text.start}",
            position=not_text.start,
        )
    message = f"the body is not JSON: {error.msg}"
    if error.msg == INFINITE:
        message = "a number in the body is beyond what a float64 holds"
    elif NOT_FINITE.match(text, error.pos):
        message = "the body is not JSON: NaN and Infinity are no numbers there"
    return RequestError(
        Reason.INVALID_JSON,
        f"{message} (line {error.lineno}, column {error.colno})",
        position=error.pos,
        line=error.lineno,
        column=error.colno,
    )


def _unknown(value: dict[str, Any], model: type[BaseModel], within: str) -> Iterator[RequestError]:
    """Unknown fields, one by one: pydantic's list of all of them may be as long as the body.

    within: where the model stands, with a dot at the end.
    """
    known = model.model_fields
    for name in value:
        if name not in known:
            yield RequestError(
                Reason.UNKNOWN_FIELD,
                f"unknown; known are {', '.join(known)}",
                within + name[:64],
                known=list(known),
            )
    for name, field in known.items():
        inner, there = _model_in(field.annotation), value.get(name)
        many = any(get_origin(part) is list for part in _parts(field.annotation))
        alone = not many or _alternatives(field.annotation) > 1
        if inner and ((alone and isinstance(there, dict)) or (many and isinstance(there, list))):
            listed = enumerate(there) if isinstance(there, list) else ()
            places = {f"[{index}]": each for index, each in listed} or {"": there}
            for place, each in places.items():
                if isinstance(each, dict):
                    yield from _unknown(each, inner, f"{within}{name}{place}.")


def _translated(
    error: ErrorDetails, same: Sequence[ErrorDetails], model: type[BaseModel]
) -> RequestError:
    """same: all errors of the same field, among them those of other types that it could have."""
    place, value, context = error["loc"], error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return RequestError(Reason.MISSING_FIELD, "missing", named(place))
        case "refusal":
            reason, message, details = context["reason"], context["message"], context["details"]
            return RequestError(Reason(reason), message, named(place), **details)
        case "string_too_short":
            return RequestError(Reason.EMPTY, "an empty string", named(place))
        case "string_too_long":
            limit, actual = context["max_length"], len(value)
            message = f"{actual} characters; the limit is {limit}"
            return RequestError(Reason.TOO_LONG, message, named(place), limit=limit, actual=actual)
        case "string_unicode":
            message = "holds a NUL or half of a surrogate pair"
            return RequestError(Reason.OUT_OF_RANGE, message, named(place))
        case "literal_error":
            return _not_a_choice(place, value, _field(model, place))
        case type_ if type_ in EXPECTED:
            tried = [each["loc"][-1] for each in same if len(each["loc"]) == len(place)]
            tags = [tag for tag in tried if _is_tag(tag)] if _is_tag(place[-1]) else []
            expected = " or ".join(map(str, tags)) or EXPECTED[type_]
            message = f"expected {expected}, got {kind(value)}"
            return RequestError(Reason.WRONG_TYPE, message, named(place))
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            limits = " and ".join(_limits(_field(model, place)))
            message = f"{value:g}; it must be {limits}"
            return RequestError(Reason.OUT_OF_RANGE, message, named(place))
    return RequestError(Reason.OUT_OF_RANGE, error["msg"], named(place))


def _not_a_choice(place: Place, value: Any, field: FieldInfo) -> RequestError:
    choices = [each for each in _parts(field.annotation) if isinstance(each, str)]
    message = f"{shown(value)} is none of {', '.join(choices)}"
    for each in field.metadata:
        if isinstance(each, Otherwise):
            message = f"{shown(value)}; {each.words}"
    return RequestError(Reason.OUT_OF_RANGE, message, named(place), known=choices)


def _limits(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for name, words in LIMITS.items():
            if hasattr(constraint, name):
                yield words.format(getattr(constraint, name))


def _field(model: type[BaseModel], place: Place) -> FieldInfo:
    """The declaration of the field at a place."""
    *outer, last = _names(place)
    for name in outer:
        model = _model_in(model.model_fields[name].annotation) or model
    return model.model_fields[last]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, or a list of."""
    return next((part for part in _parts(annotation) if hasattr(part, "model_fields")), None)


def _alternatives(annotation: Any) -> int:
    """Types of JSON that a field may have, null apart."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return sum(each is not NoneType and _alternatives(each) for each in get_args(annotation))
    return 1


def _parts(annotation: Any) -> Iterator[Any]:
    """A type, and all types and values of a `Literal` of which it is made."""
    yield annotation
    for each in get_args(annotation):
        yield from _parts(each)


def _progress(error: ErrorDetails) -> list[int]:
    """The positions in lists up to which a type fitted the value."""
    return [each for each in error["loc"] if isinstance(each, int)]


def _names(place: Place) -> list[str]:
    return [each for each in _bare(place) if isinstance(each, str)]


def _bare(place: Place) -> Iterator[int | str]:
    return (each for each in place if not _is_tag(each))


def _is_tag(each: int | str) -> bool:
    """A tag is made of words for an error, so it has blanks, and no field has."""
    return isinstance(each, str) and " " in each
