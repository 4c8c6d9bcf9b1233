"""Errors that a user can fix, told apart from defects of ours."""

from __future__ import annotations

from pathlib import Path


class NestlingError(Exception):
    """Something the user gave cannot be used; the message says what and why."""


class CheckpointError(NestlingError):
    """A checkpoint that must not be served. `file` is the one at fault."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file


class DataError(NestlingError):
    """A data set that cannot be read as texts and labels."""


class NotFiniteError(NestlingError):
    """Numbers of a training that have become infinite or NaN: no further step can repair them."""
