"""Names as a message lists them: some of many, quoted where blanks would not be seen."""

from __future__ import annotations

from collections.abc import Iterable
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


def shortened(text: str) -> str:
    """A value, as long as a line of error can bear."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _name(name: str) -> str:
    plain = name.isprintable() and name == name.strip() and name
    return shortened(name if plain else repr(name))
