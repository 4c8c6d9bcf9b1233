"""The words for what pydantic finds wrong with a declaration: path, value, limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .declaration import Declaration
from .errors import Problem, path_of, shown

SCHEMA: dict[str, Any] = Declaration.model_json_schema()
"""Of a declaration."""


def problems_of(error: ValidationError) -> list[Problem]:
    """Of a declaration, in the order of its fields."""
    return [_problem(each) for each in error.errors(include_url=False)]


def _problem(error: ErrorDetails) -> Problem:
    place = error["loc"]
    match error["type"]:
        case "beside":
            place = (*place[:-1], error["ctx"]["field"])
            message = error["msg"]
        case "value_error":
            message = str(error["ctx"]["error"])
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            known = ", ".join(sorted(_schema_of(place[:-1])["properties"]))
            message = f"is not known; known are {known}"
        case "model_type" if error["input"] is None and place:
            message = "is missing"
        case "too_short" | "too_long":
            schema = _schema_of(place)
            least, most = schema.get("minItems", 0), schema["maxItems"]
            count = error["ctx"]["actual_length"]
            message = f"has {count} entries, which is not between {least} and {most}"
        case kind:
            if kind == "float_type" and type(error["input"]) is int:
                kind = "too_large"  # for a float64
            message = f"{shown(error['input'])} is not {_wanted(kind, _schema_of(place))}"
    return Problem(path_of(place), message)


def _wanted(kind: str, schema: dict[str, Any]) -> str:
    """What a value of the schema is."""
    match schema["type"]:
        case "object":
            return "a mapping of fields to values"
        case "array":
            return "a list"
        case "string" if kind in ("string_pattern_mismatch", "string_unicode"):
            return f"of the form {schema['pattern'].strip('^$')}"
        case "string":
            return "a string"
    limits = [f"{schema[end]:g}" if isinstance(schema[end], float) else str(schema[end])
              for end in ("minimum", "maximum")]  # fmt: skip
    if kind == "int_type":
        return f"a whole number from {' to '.join(limits)}"
    if kind == "float_type":
        return f"a number from {' to '.join(limits)}"
    return f"between {' and '.join(limits)}"


def _schema_of(place: Sequence[str | int]) -> dict[str, Any]:
    """Of a field. A schema that also allows null, or a name, allows the other thing first."""
    schema = SCHEMA
    for part in place:
        schema = schema["items"] if isinstance(part, int) else schema["properties"][part]
        schema = schema.get("anyOf", [schema])[0]
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema
