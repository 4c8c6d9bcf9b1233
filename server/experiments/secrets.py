"""Headers that hold a secret: a unit is recorded as it comes, so it is never one of them."""

from __future__ import annotations

_WORDS = frozenset(
    (
        "authorization",
        "authentication",
        "cookie",
        "cookie2",
        "token",
        "tokens",
        "secret",
        "password",
        "passwd",
        "credential",
        "credentials",
        "apikey",
        "jwt",
        "assertion",
    )
)
_PHRASES = ("api-key", "access-key", "auth-key", "subscription-key", "functions-key")


def is_secret(header: str) -> bool:
    """Whether a header of this name is known or likely to hold what lets somebody in."""
    name = header.lower().replace("_", "-")
    words = name.replace(".", "-").split("-")
    return not _WORDS.isdisjoint(words) or any(phrase in name for phrase in _PHRASES)
