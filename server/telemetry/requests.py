"""A request's id, in its answer and in the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from random import getrandbits

from ..http.request_headers import values_of

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being handled, for whoever logs."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2.2."""
GIVEN = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def id_of(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """The id of a request, given its headers as ASGI has them.

    The trace id of a `traceparent`, else the client's `x-request-id`, else new. One that came with
    several values is as none.
    """
    match values_of(headers, b"traceparent"):
        case [trace] if traced := TRACEPARENT.fullmatch(trace):
            return traced[1]
    match values_of(headers, b"x-request-id"):
        case [given] if GIVEN.fullmatch(given):
            return given
    return f"{getrandbits(128):032x}"
