"""Headers: whoever wants one of a request asks here, so that all read them alike; and those by
which an answer says how it came to be, for protocols that have no room for that in the body.

Blanks around a value are not part of it (RFC 9110, section 5.5). A header that comes twice with the
same value came once; with two values nobody can tell which was meant, so none is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from random import randbytes

from starlette.requests import Request

from ..core.requests import Answers
from ..errors import Reason, RequestError

RawHeaders = list[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""
BLANKS = " \t\r\n"
"""What may surround a value, or an identifier in a body, without being part of it. No more than
that: by its bytes, a letter of UTF-8 may end like another blank of Latin-1."""
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2.2."""
NAMING = frozenset({b"traceparent", b"x-request-id"})
"""Headers that may give a request its id."""
GIVEN = re.compile(r"[\w.:-]{1,128}", re.ASCII)
MOST_TEXTS = 64
"""Requests with more texts get the timings alone: a header has a few kilobytes."""


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
    if not NAMING.isdisjoint(dict(headers)):
        match values_of(headers, b"traceparent"):
            case [trace] if traced := TRACEPARENT.fullmatch(trace):
                return traced[1]
        match values_of(headers, b"x-request-id"):
            case [given] if GIVEN.fullmatch(given):
                return given
    return randbytes(16).hex()


def answer_headers(answers: Answers, device: str) -> RawHeaders:
    """How the answers came to be, and the timings as text-embeddings-inference names them.

    Of several texts the values stand one after the other, separated by commas, in their order.
    Times are whole milliseconds, over all stages; those in the queue and in batches are of the text
    that needed most.
    """
    told = answers.told
    tokens = level = cached = 0
    for part in answers.parts:
        tokens, level = tokens + sum(part.lengths), max(level, part.brownout)
        cached += len(part) if part.cached else 0
    headers = [
        (b"x-compute-type", device.encode()),
        (b"x-compute-time", b"%.0f" % (1e3 * told.device_seconds)),
        (b"x-compute-tokens", b"%d" % tokens),
        (b"x-total-time", b"%.0f" % (1e3 * answers.total_seconds)),
        (b"x-tokenization-time", b"%.0f" % (1e3 * answers.tokenize_seconds)),
        (b"x-queue-time", b"%.0f" % (1e3 * told.waited)),
        (b"x-inference-time", b"%.0f" % (1e3 * told.ran)),
    ]
    if level:
        headers.append((b"x-nestling-brownout", b"%d" % level))
    if cached:
        headers.append((b"x-nestling-cached", b"%d" % cached))
    if abstained := sum(told.abstained):
        headers.append((b"x-nestling-abstained", b"%d" % abstained))
    if variants := answers.parts[0].variants:
        shown = ",".join([f"{name}={variant}" for name, variant in variants.items()])
        headers.append((b"x-nestling-variant", shown.encode("latin-1")))
    if len(told.labels) > MOST_TEXTS:
        return headers
    students = ",".join([path[-1] for path in told.paths])
    paths = ",".join([">".join(path) for path in told.paths])
    return [
        *headers,
        (b"x-nestling-student", students.encode()),
        (b"x-nestling-path", paths.encode()),
        (b"x-nestling-confidence", b",".join([b"%.6f" % sure for sure in told.confidences])),
        (b"x-nestling-cost", b",".join([b"%.4g" % cost for cost in told.costs])),
    ]
