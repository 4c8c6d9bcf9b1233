"""Loaded by every Python process of a walked server: SIGUSR2 begins a record of calls, or ends it.

A record says which of the product's own files were called, in which order they were first, and how
often a call went to another file than the call before it.
"""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

PACKAGE = "/nestling/"


class Walk:
    """What the calls of one process have touched."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.on = False
        self.files: list[str] = []
        self.functions: set[tuple[str, str]] = set()
        self.moves = 0
        self.last = ""

    def called(self, frame: FrameType, event: str, _: object) -> None:
        """As `sys.setprofile` wants it."""
        if event != "call":
            return
        _, found, name = frame.f_code.co_filename.partition(PACKAGE)
        if not found:
            return
        self.functions.add((name, frame.f_code.co_qualname))
        self.moves += bool(self.last) and name != self.last
        self.last = name
        if name not in self.files:
            self.files.append(name)

    def toggle(self, _number: int, _frame: FrameType | None) -> None:
        """Begin, or end and write."""
        self.on = not self.on
        sys.setprofile(self.called if self.on else None)
        if not self.on:
            said = {
                "files": self.files,
                "functions": len(self.functions),
                "moves": self.moves,
            }
            # The number is that of now: a process may have been forked since.
            (self.folder / f"{os.getpid()}.json").write_text(json.dumps(said), "utf-8")


if folder := os.environ.get("NESTLING_WALK"):
    signal.signal(signal.SIGUSR2, Walk(folder).toggle)
