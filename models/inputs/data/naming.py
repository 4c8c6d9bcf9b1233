"""Names as a message lists them: some of many, quoted where blanks would hide; the nearest."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

MOST = 12
"""Names that a message lists."""
LONGEST = 64
"""Characters of a name or value that a message repeats."""


def listed(names: Iterable[str]) -> str:
    """`alarm, 'money ', music and 9 more`."""
    found = list(names)
    rest = f" and {len(found) - MOST:,} more" if len(found) > MOST else ""
    return ", ".join(map(_name, islice(found, MOST))) + rest


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'alarm'?` if one is near, else nothing."""
    by_fold = {other.strip().casefold(): other for other in known}
    fold = name.strip().casefold()
    close = [fold] if fold in by_fold else get_close_matches(fold, by_fold, n=1)
    return f"; did you mean {by_fold[close[0]]!r}?" if close else ""


def shortened(text: str) -> str:
    """A value, as long as a line of error can bear."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _name(name: str) -> str:
    plain = name.isprintable() and name == name.strip() and name
    return shortened(name if plain else repr(name))
