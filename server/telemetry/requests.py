"""A request's id, in its answer and in the log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from random import getrandbits

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being handled, for whoever logs."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2.2."""
GIVEN = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id of a request, given its headers as ASGI has them.

    The trace id of a `traceparent`, else the client's `x-request-id`, else new.
    """
    given = None
    for name, value in headers:
        if name == b"traceparent" and (traced := TRACEPARENT.fullmatch(value.decode("latin-1"))):
            return traced[1]
        if name == b"x-request-id" and GIVEN.fullmatch(text := value.decode("latin-1")):
            given = text
    return given or f"{getrandbits(128):032x}"
