"""Admission: how much may be accepted and not yet answered, in texts, characters and tokens."""

from __future__ import annotations

from ..errors import Reason, RequestError

RETRY_AFTER_SECONDS = 1
WAITING_CHARACTERS_PER_TOKEN = 32
"""So many characters may wait to be tokenised for each token that may wait to be answered: a bound
on memory, far above what texts of that many tokens have."""


class Admission:
    """Counts what is inside. Belongs to the event loop.

    longest: characters that a request can have; so many may always wait.
    """

    def __init__(self, max_texts: int, max_tokens: int, longest: int) -> None:
        characters = max(WAITING_CHARACTERS_PER_TOKEN * max_tokens, longest)
        self._limits = {"texts": max_texts, "characters": characters, "tokens": max_tokens}
        self._inside = dict.fromkeys(self._limits, 0)

    def texts(self, count: int) -> None:
        """Let so many texts in. Raises RequestError where that exceeds the limit."""
        self._enter("texts", count)

    def characters(self, count: int) -> None:
        """Let so many characters wait for the tokenizer. Raises RequestError likewise."""
        self._enter("characters", count)

    def tokens(self, count: int) -> None:
        """Let their tokens in, once they are counted. Raises RequestError likewise."""
        self._enter("tokens", count)

    def leave(self, texts: int = 0, characters: int = 0, tokens: int = 0) -> None:
        """They have been answered or tokenised, or nobody wants the answer any more."""
        self._inside["texts"] -= texts
        self._inside["characters"] -= characters
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
