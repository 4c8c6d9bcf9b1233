"""The format of errors: what every protocol says of its own, and the native one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import Reason, RequestError

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
    """How a protocol tells its clients of an error; its routes carry it.

    body: what an error's body holds. schema: the same for OpenAPI. own: statuses that differ.
    namespace: a path below which all is this protocol's that is no route of another.
    """

    body: Callable[[RequestError], dict[str, Any]]
    schema: dict[str, Any]
    own: Mapping[Reason, int] = field(default_factory=dict)
    namespace: str | None = None

    def status(self, reason: Reason) -> int:
        """The HTTP status that the protocol's clients expect."""
        return self.own.get(reason, reason.status)

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


TEXT = {"type": "string"}
BAD_REQUEST = {reason: 400 for reason in Reason if reason.status == 422}
"""For protocols whose clients know no 422."""


def object_schema(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has all of these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def message_body(error: RequestError) -> dict[str, Any]:
    """The body of protocols that tell an error in words alone."""
    return {"error": str(error)}


MESSAGE_SCHEMA = object_schema(error=TEXT)
NATIVE = ErrorFormat(
    RequestError.to_json,
    object_schema(
        error={
            "type": "object",
            "properties": {
                "type": {"enum": [str(reason) for reason in Reason]},
                "message": TEXT,
                "field": TEXT,
                "limit": {"type": "number"},
                "actual": {"type": "number"},
            },
            "required": ["type", "message"],
        }
    ),
)
