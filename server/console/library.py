"""The chart library: Plotly's, from the package of that name, which is never imported for it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

FILE = "plotly.min.js"
STYLE = "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
"""The hash of a style sheet that it brings for maps. There are none here, but a browser that may
not apply it logs an error."""


@cache
def charts_version() -> str | None:
    """None where the extra `console` is not installed."""
    try:
        return version("plotly")
    except PackageNotFoundError:
        return None


@cache
def charts_file() -> Path | None:
    """Where the library lies; None where the extra `console` is not installed."""
    if charts_version() is None:
        return None
    return Path(str(distribution("plotly").locate_file(f"plotly/package_data/{FILE}")))
