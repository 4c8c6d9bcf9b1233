"""What brings a package that is not installed: an extra of Nestling's."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import requires

REQUIREMENT = re.compile(r"""([\w-]+).*extra == ["'](?!dev)([\w-]+)["']""")
"""A line of the package's metadata: the package's name, and the extra that it belongs to."""


def extra_with(module: str) -> str | None:
    """The extra that brings a module; of several the one that brings most; None without any."""
    found = [
        match.groups() for line in requires("nestling") or () if (match := REQUIREMENT.match(line))
    ]
    package = module.partition(".")[0].replace("_", "-")
    sizes = Counter(extra for _, extra in found)
    return max(
        (extra for name, extra in found if name.lower() == package.lower()),
        key=lambda extra: sizes[extra],
        default=None,
    )
