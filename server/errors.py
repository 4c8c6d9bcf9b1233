"""Every way in which a request can fail, in one form.

{"error": {"type": "too_long", "message": "inputs: 803 tokens; the limit is 512",
           "field": "inputs", "limit": 512, "actual": 803}}
"""

from __future__ import annotations

import logging
import sys
import uuid
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """The `type` of an error, and its label in the metrics."""

    MALFORMED_REQUEST = "malformed_request"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    INVALID_TENSOR = "invalid_tensor"
    AMBIGUOUS_HEADER = "ambiguous_header"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    OUT_OF_RANGE = "out_of_range"
    UNMEETABLE = "unmeetable"
    UNKNOWN_MODEL = "unknown_model"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    URL_TOO_LONG = "url_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    EXPECTATION_FAILED = "expectation_failed"
    UNSUPPORTED_TRANSFER_CODING = "unsupported_transfer_coding"
    UNSUPPORTED_VERSION = "unsupported_version"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    OVERLOADED = "overloaded"
    DEADLINE = "deadline"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    RELOADING = "reloading"
    PLAN_MOVED = "plan_moved"
    INVALID_DECLARATION = "invalid_declaration"
    STORE_UNAVAILABLE = "store_unavailable"
    BAD_CHECKPOINT = "bad_checkpoint"
    CLIENT_GONE = "client_gone"
    INTERNAL = "internal"


STATUS = {
    Reason.MALFORMED_REQUEST: 400,
    Reason.INVALID_UTF8: 400,
    Reason.INVALID_JSON: 400,
    Reason.INVALID_TENSOR: 400,
    Reason.AMBIGUOUS_HEADER: 400,
    Reason.WRONG_TYPE: 422,
    Reason.MISSING_FIELD: 422,
    Reason.UNKNOWN_FIELD: 422,
    Reason.EMPTY: 422,
    Reason.TOO_LONG: 422,
    Reason.TOO_MANY: 422,
    Reason.OUT_OF_RANGE: 422,
    Reason.UNMEETABLE: 422,
    Reason.UNKNOWN_MODEL: 404,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.REQUEST_TIMEOUT: 408,
    Reason.URL_TOO_LONG: 414,
    Reason.HEADERS_TOO_LARGE: 431,
    Reason.EXPECTATION_FAILED: 417,
    Reason.UNSUPPORTED_TRANSFER_CODING: 501,
    Reason.UNSUPPORTED_VERSION: 505,
    Reason.BODY_TOO_LARGE: 413,
    Reason.UNSUPPORTED_ENCODING: 415,
    Reason.OVERLOADED: 429,
    Reason.UNAUTHORISED: 401,
    Reason.FORBIDDEN: 403,
    Reason.RELOADING: 409,
    Reason.PLAN_MOVED: 409,
    Reason.INVALID_DECLARATION: 422,
    Reason.STORE_UNAVAILABLE: 503,
    Reason.BAD_CHECKPOINT: 422,
    Reason.CLIENT_GONE: 499,  # nobody reads it; the number is nginx's, for the metrics
    Reason.INTERNAL: 500,
    Reason.DEADLINE: 504,
}


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
        return STATUS[self.reason]

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
