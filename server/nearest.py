"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

MOST = 10
"""Names that a message lists."""
COMPARED = 128
"""Characters of a wrong name that are looked at: comparing takes time by their square."""


def nearest(wrong: str, known: Collection[str], most: int = 1) -> list[str]:
    """The names that look like it, the most alike first; none if none does."""
    return get_close_matches(wrong[:COMPARED], known, most)


def listing(wrong: str, known: Collection[str]) -> list[str]:
    """What to choose from instead: what looks like it, then the others in their order; MOST."""
    close = nearest(wrong, known, MOST)
    return [*close, *(name for name in known if name not in close)][:MOST]


def in_words(wrong: str, known: Collection[str]) -> str:
    """The same for a message, which says how many there are beyond."""
    shown = listing(wrong, known)
    more = len(known) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
