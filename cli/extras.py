"""Finds the extra of Nestling that installs a missing package."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import requires

REQUIREMENT = re.compile(r"""([\w-]+).*extra == ["'](?!dev)([\w-]+)["']""")
"""A requirement in Nestling's metadata: the package's name, and the extra that it belongs to."""


def extra_with(module: str) -> str | None:
    """The extra that installs a module, of several the largest; None if there is none."""
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
