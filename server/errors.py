"""Every way in which a request can fail, in one form.

{"error": {"type": "too_long", "message": "inputs: 803 tokens; the limit is 512",
           "field": "inputs", "limit": 512, "actual": 803}}
"""

from __future__ import annotations

import logging
import sys
import uuid
from enum import StrEnum
from typing import Any, Self

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """The `type` of an error, and its label in the metrics. status: of HTTP."""

    status: int

    def __new__(cls, name: str, status: int = 500) -> Self:
        """A member, whose value is its name alone."""
        member = str.__new__(cls, name)
        member._value_, member.status = name, status
        return member

    MALFORMED_REQUEST = "malformed_request", 400
    INVALID_UTF8 = "invalid_utf8", 400
    INVALID_JSON = "invalid_json", 400
    INVALID_TENSOR = "invalid_tensor", 400
    AMBIGUOUS_HEADER = "ambiguous_header", 400
    WRONG_TYPE = "wrong_type", 422
    MISSING_FIELD = "missing_field", 422
    UNKNOWN_FIELD = "unknown_field", 422
    EMPTY = "empty", 422
    TOO_LONG = "too_long", 422
    TOO_MANY = "too_many", 422
    OUT_OF_RANGE = "out_of_range", 422
    UNMEETABLE = "unmeetable", 422
    UNKNOWN_MODEL = "unknown_model", 404
    NOT_FOUND = "not_found", 404
    METHOD_NOT_ALLOWED = "method_not_allowed", 405
    REQUEST_TIMEOUT = "request_timeout", 408
    URL_TOO_LONG = "url_too_long", 414
    HEADERS_TOO_LARGE = "headers_too_large", 431
    EXPECTATION_FAILED = "expectation_failed", 417
    UNSUPPORTED_TRANSFER_CODING = "unsupported_transfer_coding", 501
    UNSUPPORTED_VERSION = "unsupported_version", 505
    BODY_TOO_LARGE = "body_too_large", 413
    UNSUPPORTED_ENCODING = "unsupported_encoding", 415
    OVERLOADED = "overloaded", 429
    DEADLINE = "deadline", 504
    UNAUTHORISED = "unauthorised", 401
    FORBIDDEN = "forbidden", 403
    RELOADING = "reloading", 409
    PLAN_MOVED = "plan_moved", 409
    INVALID_DECLARATION = "invalid_declaration", 422
    STORE_UNAVAILABLE = "store_unavailable", 503
    BAD_CHECKPOINT = "bad_checkpoint", 422
    CLIENT_GONE = "client_gone", 499  # nobody reads it; the number is nginx's, for the metrics
    INTERNAL = "internal", 500


class Refusal(StrEnum):
    """Why a connection refuses a request, or cuts it off: a label in the metrics.

    It is finer than an error's type, which is what a client can act upon.
    """

    REQUEST_LINE = "request_line"
    HTTP_VERSION = "http_version"
    METHOD = "method"
    URL_TOO_LONG = "url_too_long"
    HEADER = "header"
    HEADERS_TOO_LARGE = "headers_too_large"
    TRANSFER_CODING = "transfer_coding"
    EXPECTATION = "expectation"
    CHUNK = "chunk"
    INCOMPLETE = "incomplete"
    HEADER_TIMEOUT = "header_timeout"
    BODY_TIMEOUT = "body_timeout"
    WRITE_TIMEOUT = "write_timeout"


class RequestError(Exception):
    """A request that is not answered, with what its sender needs to know.

    field: the part of the body at fault. details: numbers and lists for programs to read.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        field: str | None = None,
        headers: dict[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.reason = reason
        self.message = message
        self.field = field
        self.headers = headers
        self.details = details

    def within(self, place: str) -> RequestError:
        """The same, of a field that stands in a part of the body. place: with what follows it."""
        field = f"{place}{self.field}" if self.field else place.rstrip(".")
        return RequestError(self.reason, self.message, field, self.headers, **self.details)

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return self.reason.status

    def to_json(self) -> dict[str, Any]:
        field = {"field": self.field} if self.field else {}
        return {"error": {"type": self.reason, "message": str(self), **field, **self.details}}


def internal_error(what: str) -> RequestError:
    """Log the exception that is being handled, if any; the client gets an id by which to find it.

    what: the beginning of what the log says: what failed.
    """
    incident = uuid.uuid4().hex[:12]
    log.error("%s failed [%s]", what, incident, exc_info=sys.exception() is not None)
    return RequestError(
        Reason.INTERNAL, f"internal error; the server's log has it as {incident}", id=incident
    )
