"""The known names that somebody may have meant by a name that is not known."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

MOST = 10
"""Names that a message lists."""
COMPARED = 128
"""Characters of a wrong name that are compared: the time grows with the square of their number."""


def nearest(wrong: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that look like the wrong one, the most similar first; none if none does.

    Blanks around a name, and upper or lower case, make no difference.
    """
    by_fold: dict[str, list[str]] = {}
    for name in known:
        by_fold.setdefault(_fold(name), []).append(name)
    close = get_close_matches(_fold(wrong[:COMPARED]), by_fold, most)
    return [name for fold in close for name in by_fold[fold]][:most]


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean 'alarm'?` if a known name is near, else nothing."""
    return "".join(f"; did you mean {name!r}?" for name in nearest(wrong, known))


def listing(wrong: str, known: Collection[str]) -> list[str]:
    """At most MOST names to choose from: the nearest first, then the others in their order."""
    close = nearest(wrong, known, MOST)
    return [*close, *(name for name in known if name not in close)][:MOST]


def in_words(wrong: str, known: Collection[str]) -> str:
    """The same names for a message, which says how many more there are."""
    shown = listing(wrong, known)
    more = len(known) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _fold(name: str) -> str:
    return name.strip().casefold()
