"""The form of an error in each protocol: its body, and its status where that differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import STATUS, Reason, RequestError

READING = (
    Reason.INVALID_UTF8,
    Reason.INVALID_JSON,
    Reason.AMBIGUOUS_HEADER,
    Reason.WRONG_TYPE,
    Reason.REQUEST_TIMEOUT,
    Reason.BODY_TOO_LARGE,
    Reason.UNSUPPORTED_ENCODING,
)
"""Why a route may refuse a body, whatever it is to hold."""
CHECKING = (
    Reason.MISSING_FIELD,
    Reason.UNKNOWN_FIELD,
    Reason.EMPTY,
    Reason.TOO_LONG,
    Reason.TOO_MANY,
    Reason.OUT_OF_RANGE,
)
"""Why it may refuse what the body holds."""
ANSWERING = (
    *READING,
    *CHECKING,
    Reason.UNMEETABLE,
    Reason.UNKNOWN_MODEL,
    Reason.OVERLOADED,
    Reason.UNAUTHORISED,
    Reason.INTERNAL,
    Reason.DEADLINE,
)
"""Why a route that answers texts may refuse."""


@dataclass(frozen=True)
class ErrorFormat:
    """body: what an error's body holds. schema: the same for OpenAPI. own: statuses that differ."""

    body: Callable[[RequestError], dict[str, Any]]
    schema: dict[str, Any]
    own: Mapping[Reason, int] = field(default_factory=dict)

    def status(self, reason: Reason) -> int:
        """The HTTP status that the protocol's clients expect."""
        return self.own.get(reason, STATUS[reason])

    def documented(self, *reasons: Reason) -> dict[int | str, dict[str, Any]]:
        """What OpenAPI says of a route's errors, by status; by default of one that answers."""
        found: dict[int, list[Reason]] = {}
        for reason in reasons or ANSWERING:
            found.setdefault(self.status(reason), []).append(reason)
        return {
            status: {
                "description": ", ".join(f"`{reason}`" for reason in same),
                "content": {
                    "application/json": {
                        "schema": self.schema,
                        "example": self.body(RequestError(same[0], "what is wrong, in words")),
                    }
                },
            }
            for status, same in sorted(found.items())
        }


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT = {"type": "string"}
_BAD_REQUEST = {reason: 400 for reason, status in STATUS.items() if status == 422}


NATIVE = ErrorFormat(
    RequestError.to_json,
    _object(
        error={
            "type": "object",
            "properties": {
                "type": {"enum": [reason.value for reason in Reason]},
                "message": _TEXT,
                "field": _TEXT,
                "limit": {"type": "number"},
                "actual": {"type": "number"},
            },
            "required": ["type", "message"],
        }
    ),
)


def _message(error: RequestError) -> dict[str, Any]:
    return {"error": str(error)}


HUGGING_FACE = ErrorFormat(_message, _object(error=_TEXT))
OPEN_INFERENCE = ErrorFormat(_message, _object(error=_TEXT), _BAD_REQUEST)


_TEI_TYPES = {
    Reason.EMPTY: "Empty",
    Reason.OVERLOADED: "Overloaded",
    Reason.INTERNAL: "Backend",
    Reason.DEADLINE: "Backend",
}
"""As its server sends them; the examples in its documentation write them small."""


def _tei(error: RequestError) -> dict[str, Any]:
    return {"error": str(error), "error_type": _TEI_TYPES.get(error.reason, "Validation")}


TEI = ErrorFormat(
    _tei,
    _object(error=_TEXT, error_type={"enum": sorted({"Validation", *_TEI_TYPES.values()})}),
    {
        Reason.EMPTY: 400,
        Reason.TOO_LONG: 413,
        Reason.TOO_MANY: 413,
        Reason.INTERNAL: 424,
        Reason.DEADLINE: 424,
    },
)


def _openai(error: RequestError) -> dict[str, Any]:
    kind = "invalid_request_error"
    if error.reason is Reason.OVERLOADED:
        kind = "rate_limit_error"
    elif error.status >= 500:
        kind = "server_error"
    code = "model_not_found" if error.reason is Reason.UNKNOWN_MODEL else error.reason.value
    return {"error": {"message": str(error), "type": kind, "param": error.field, "code": code}}


OPENAI = ErrorFormat(
    _openai,
    _object(
        error=_object(message=_TEXT, type=_TEXT, param={"type": ["string", "null"]}, code=_TEXT)
    ),
    _BAD_REQUEST,
)


_FORMS = {
    "/": HUGGING_FACE,
    "/info": TEI,
    "/models": HUGGING_FACE,
    "/predict": TEI,
    "/v1": OPENAI,
    "/v1/classify": NATIVE,
    "/v1/experiments": NATIVE,
    "/v1/outcomes": NATIVE,
    "/v2": OPEN_INFERENCE,
}


def format_of(path: str) -> ErrorFormat:
    """The form of the protocol to which a path belongs, also where there is no such route."""
    first, second = "/" + path.split("/")[1], "/".join(path.split("/")[:3])
    return _FORMS.get(second) or _FORMS.get(first, NATIVE)
