"""Admission: how much may be accepted and not yet answered, in texts and in tokens."""

from __future__ import annotations

from .errors import Reason, RequestError

RETRY_AFTER_SECONDS = 1


class Admission:
    """Counts what is inside. Belongs to the event loop."""

    def __init__(self, max_texts: int, max_tokens: int) -> None:
        self._limits = {"texts": max_texts, "tokens": max_tokens}
        self._inside = {"texts": 0, "tokens": 0}

    def texts(self, count: int) -> None:
        """Let so many texts in. Raises RequestError where that exceeds the limit."""
        self._enter("texts", count)

    def tokens(self, count: int) -> None:
        """Let their tokens in, once they are counted. Raises RequestError likewise."""
        self._enter("tokens", count)

    def leave(self, texts: int = 0, tokens: int = 0) -> None:
        """They have been answered, or nobody wants the answer any more."""
        self._inside["texts"] -= texts
        self._inside["tokens"] -= tokens

    def _enter(self, unit: str, count: int) -> None:
        inside, limit = self._inside[unit], self._limits[unit]
        if inside + count > limit:
            raise RequestError(
                Reason.OVERLOADED,
                f"{inside} {unit} are waiting and {count} more would exceed the limit of {limit}; "
                f"try again in {RETRY_AFTER_SECONDS} s",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
                limit=limit,
                actual=inside,
            )
        self._inside[unit] = inside + count
