"""Where the checkout is, and the versions of what is measured, whether or not it is installed."""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, also where it is imported by way of a link."""


def versions(*names: str) -> dict[str, str]:
    """The version of each package, `unknown` where there is none. Nestling's own is the tree's."""
    found = {"python": platform.python_version(), "nestling": _own()}
    return found | {name: _installed(name) for name in names}


def _own() -> str:
    own: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return own


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
