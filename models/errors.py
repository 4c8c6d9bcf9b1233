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


def missing_extra(packages: str, needed_by: str, extra: str) -> str:
    """What is said where packages are not installed: the extra of Nestling's that brings them."""
    return (
        f"{packages}: not installed; {needed_by} needs the extra `{extra}`: "
        f"pip install '.[{extra}]' in Nestling's source tree"
    )


class NotFiniteError(NestlingError):
    """Numbers of a training that have become infinite or NaN: no further step can repair them."""
