"""Reading the headers of a request: whoever wants one asks here, so that all read them alike.

Blanks around a value are not part of it (RFC 9110, section 5.5). A header that comes twice with the
same value came once; with two values nobody can tell which was meant, so none is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from random import getrandbits

from starlette.requests import Request

from ..errors import Reason, RequestError

BLANKS = " \t\r\n"
"""What may surround a value, or an identifier in a body, without being part of it. No more than
that: by its bytes, a letter of UTF-8 may end like another blank of Latin-1."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2.2."""
GIVEN = re.compile(r"[\w.:-]{1,128}", re.ASCII)


def values_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """The different values of a header, in their order.

    headers: as ASGI has them. name: in lower case.
    """
    found = (value.decode("latin-1").strip(BLANKS) for key, value in headers if key == name)
    return list(dict.fromkeys(found))


def header(request: Request, name: str) -> str | None:
    """A header's value; None if it has not come. Raises RequestError if it came with several."""
    found = values_of(request.scope["headers"], name.lower().encode("latin-1"))
    if len(found) > 1:
        raise RequestError(
            Reason.AMBIGUOUS_HEADER,
            f"came with {len(found)} different values; send one",
            name,
            actual=len(found),
        )
    return found[0] if found else None


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
