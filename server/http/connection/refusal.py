"""Why a connection refuses a request, or cuts it off, before any route sees it."""

from __future__ import annotations

from typing import Any

from ...errors import Reason, Refusal, RequestError

REASONS = {
    Refusal.REQUEST_LINE: Reason.MALFORMED_REQUEST,
    Refusal.HTTP_VERSION: Reason.UNSUPPORTED_VERSION,
    Refusal.METHOD: Reason.METHOD_NOT_ALLOWED,
    Refusal.URL_TOO_LONG: Reason.URL_TOO_LONG,
    Refusal.HEADER: Reason.MALFORMED_REQUEST,
    Refusal.HEADERS_TOO_LARGE: Reason.HEADERS_TOO_LARGE,
    Refusal.TRANSFER_CODING: Reason.UNSUPPORTED_TRANSFER_CODING,
    Refusal.EXPECTATION: Reason.EXPECTATION_FAILED,
    Refusal.CHUNK: Reason.MALFORMED_REQUEST,
    Refusal.INCOMPLETE: Reason.MALFORMED_REQUEST,
    Refusal.HEADER_TIMEOUT: Reason.REQUEST_TIMEOUT,
    Refusal.BODY_TIMEOUT: Reason.REQUEST_TIMEOUT,
}
"""The type of the error that says so. Who does not read has none."""


class RefusalError(RequestError):
    """A request that ends its connection: nobody knows where the next one would begin."""

    def __init__(
        self,
        refusal: Refusal,
        message: str,
        headers: dict[str, str] | None = None,
        **details: Any,
    ) -> None:
        headers = {**(headers or {}), "Connection": "close"}
        super().__init__(REASONS[refusal], message, None, headers, **details)
        self.refusal = refusal


def incomplete() -> RefusalError:
    """For a client that has ended its side too early."""
    return RefusalError(Refusal.INCOMPLETE, "the connection was ended within the request")


def late(refusal: Refusal, part: str, seconds: float) -> RefusalError:
    """For a client that has not sent a part of its request in time."""
    return RefusalError(
        refusal, f"the request's {part} took longer than {seconds} s", limit=seconds
    )
