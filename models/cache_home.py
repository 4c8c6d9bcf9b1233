"""Where what can be made anew is kept between two runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_home(part: str) -> Path:
    """A folder of its own for each part: `$XDG_CACHE_HOME/nestling/PART`, else under `~/.cache`.

    It need not be there. Raises RuntimeError if this user has no home directory.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = given if given.is_absolute() else Path.home() / ".cache"  # as the specification has it
    return base / "nestling" / part
