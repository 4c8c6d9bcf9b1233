"""Where the commands print their tables."""

from __future__ import annotations

from rich.console import Console

WIDTH = 120
"""Columns, at least: a log or a pipe has no width of its own, and a cut number is no number."""


def wide_console() -> Console:
    """A console that is wide enough for the tables, on a terminal or not."""
    console = Console()
    console.width = max(console.width, WIDTH)
    return console
