"""The file of shadow records: what every stage answered to a watched text."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...models.calibration.records import ShadowRecord, previous
from ...models.errors import NestlingError

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)
LARGEST = 64 * 2**20
"""Bytes; a file that would grow beyond is renamed, in place of the one that was renamed before."""


class ShadowLog:
    """Appends records to a file. Belongs to one thread, not the event loop's.

    Each record is one write to a file that is opened for it: what another process moves or deletes
    is begun anew, and the records of two servers do not mix within a line. Of several that find it
    full at once, one renames it. failed: called for each record that could not be written. Raises
    NestlingError where the file cannot be written now.
    """

    def __init__(self, path: Path, failed: Callable[[], None], largest: int = LARGEST) -> None:
        self._path, self._failed, self._largest = path, failed, largest
        self._failing = False
        try:
            path.open("ab").close()
        except OSError as error:
            raise NestlingError(f"shadow_log: {path}: {error.strerror}") from error

    def write(self, record: ShadowRecord) -> None:
        """Append a record; one that cannot be written is lost, and the first of them is logged."""
        try:
            self._append(record.to_json())
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("shadow log: %s; records are lost until it can be written", error)
            self._failing = True
            self._failed()

    def _append(self, line: bytes) -> None:
        if self._is_full(len(line)):
            with _alone(self._path) as current:
                if current and self._is_full(len(line)):
                    self._path.replace(previous(self._path))
        with self._path.open("ab", buffering=0) as file:
            if file.write(line) != len(line):
                raise OSError("the disk had no room for a whole record")

    def _is_full(self, more: int) -> bool:
        found = _standing(self._path)
        return found is not None and found.st_size + more > self._largest


def _standing(path: Path) -> os.stat_result | None:
    """None where no file is, which another process may have renamed just now."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Nobody else is here with the same file. Whether it still has its name, which whoever was here
    before may have taken from it.
    """
    if sys.platform == "win32":  # one process writes there, and what is open cannot be renamed
        yield True
        return
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                raise
        found = _standing(path)
        yield found is not None and os.path.samestat(os.fstat(file.fileno()), found)
