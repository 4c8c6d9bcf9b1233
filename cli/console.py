"""Where the commands print their tables."""

from __future__ import annotations

from rich.console import Console

WIDTH = 120
"""Columns, at least: a log or a pipe has no width of its own, and a cut number is no number."""


class _Console(Console):
    """One that leaves it to the end of the command what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def wide_console() -> Console:
    """A console that is wide enough for the tables, on a terminal or not."""
    console = _Console()
    console.width = max(console.width, WIDTH)
    return console
