"""What a command says of how far it is, told apart from what it says of the matter."""

from __future__ import annotations

import re

LINE = re.compile(r"(\S+ \S+ INFO )?\S.*: ([\d,]+ of [\d,]+, .*|[\d,]+ s) (so far|left)(, .*)?\n?")


def without_progress(said: str) -> str:
    """Lines without those that come every few seconds, on a slow machine sooner than expected."""
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not LINE.fullmatch(line))
