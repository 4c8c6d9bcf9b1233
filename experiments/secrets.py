"""Headers that hold a secret: a unit is recorded as it comes, so it is never one of them."""

from __future__ import annotations

_PARTS = (
    "access-key",
    "api-key",
    "apikey",
    "assertion",
    "authentic",
    "authoriz",
    "auth-key",
    "bearer",
    "client-cert",
    "cookie",
    "credential",
    "functions-key",
    "jwt",
    "oidc",
    "passw",
    "secret",
    "subscription-key",
    "token",
)
"""Wherever they stand in a name."""
_WORDS = frozenset(("auth", "dpop", "otp", "pin", "sid", "signature"))
"""Between hyphens: as parts of longer words, most would mean something else."""


def is_secret(header: str) -> bool:
    """Whether a header of this name is known or likely to hold what lets somebody in."""
    name = header.lower().replace("_", "-").replace(".", "-")
    return any(part in name for part in _PARTS) or not _WORDS.isdisjoint(name.split("-"))
