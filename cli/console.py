"""Where the commands print their tables."""

from __future__ import annotations

from rich.console import Console

WIDTH = 120
"""The least number of columns: a log or a pipe has no width, and a number must not be cut off."""


class _Console(Console):
    """A console that leaves a closed pipe to the code that ends the command."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def wide_console() -> Console:
    """A console that is wide enough for the tables, on a terminal or not."""
    console = _Console()
    console.width = max(console.width, WIDTH)
    return console
