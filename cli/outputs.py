"""Checks that a command can write its output, by writing there before any long work begins.

Permissions alone do not tell: root may do everything, and a read-only disk still refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from ..models.errors import NestlingError


def check_new(path: Path, option: str = "--out") -> None:
    """Raises NestlingError unless a folder of this name can be made, beside what is there."""
    with _refusals(path, option):
        if path.exists():
            raise NestlingError(f"{option}: {path} exists already, and is never written over")
        _check_parent(path, option)


def check_folder(path: Path, option: str = "--out") -> None:
    """Raises NestlingError unless files can be written into a folder, which may be made first."""
    with _refusals(path, option):
        if not path.exists():
            _check_parent(path, option)
            return
        if not path.is_dir():
            raise NestlingError(f"{option}: {path} is not a folder")
        NamedTemporaryFile(dir=path, prefix=".nestling-").close()


def check_file(path: Path, option: str = "--out") -> None:
    """Raises NestlingError unless a file of this name can be written, or written over."""
    with _refusals(path, option):
        if path.is_dir():
            raise NestlingError(f"{option}: {path} is a folder, not a file")
        if path.exists():
            path.open("ab").close()
        else:
            _check_parent(path, option)


def _check_parent(path: Path, option: str) -> None:
    parent = path.absolute().parent
    if not parent.exists():
        raise NestlingError(f"{option}: {path}: there is no folder {path.parent}")
    if not parent.is_dir():
        raise NestlingError(f"{option}: {path}: {path.parent} is not a folder")
    TemporaryDirectory(dir=parent, prefix=".nestling-").cleanup()


@contextmanager
def _refusals(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NestlingError(f"{option}: {path} cannot be written: {error.strerror}") from error
