"""The file that is written: never half of it under its name, and never twice the same row.

    OUT.partial       what has been answered, appended to
    OUT.partial.json  how much of that is flushed, and what it was made of

Both are written now and then, the state after the rows. So at whatever moment a run ends, the next
one cuts off what the state does not know of and goes on from there. At the end the state says which
file is the whole one, a rename gives it its name, then the state goes.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, BinaryIO

from ..checkpoint.integrity import SCHEMA, flush, read_hashed_json, write_hashed_json
from ..errors import NestlingError
from .source import standing
from .table import Tally
from .work import AnsweredBlock

EVERY = 2.0
"""Seconds between two flushes: a run that is killed loses so much, and the blocks it is at."""


@dataclass(frozen=True)
class Progressed:
    """How much is flushed. blocks: of the input. size: bytes of the partial file."""

    blocks: int
    size: int
    tally: Tally


class PartialFile:
    """A context in which rows are added to a file that is not whole yet; nobody else may meanwhile.

    identity: all that decides what is in it, by what messages call it. head: its first bytes. done:
    what an earlier run has left, and what has been added. finished_before: whether an earlier run
    has done all of it. Raises NestlingError if what is left was made of something else, and if the
    file is there and no run has made it; OSError with the file's name where it cannot be written.
    """

    def __init__(self, path: Path, identity: dict[str, Any], head: bytes) -> None:
        self.path, self._identity, self._head = path, identity, head
        self.partial = path.with_name(f"{path.name}.partial")
        self._state = state_of(path)
        self.done = Progressed(0, 0, Tally())
        self.finished_before = False
        self._whole: list[int] | None = None
        self._flushed = monotonic()

    def __enter__(self) -> PartialFile:
        with _named(self.path):
            if self.path.exists():
                self.done, self.finished_before = self._finished(), True
                self._clear()
                return self
            self._file = self._locked()
            try:
                self.done = self._left()
                self._file.truncate(self.done.size)
                self._file.seek(self.done.size)
                if not self.done.size:
                    self._file.write(self._head)
                    self.done = Progressed(0, len(self._head), Tally())
                self.flush()
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """What has been added is kept, whatever went wrong, unless the disk itself refuses."""
        if self.finished_before or self._file.closed:
            return
        try:
            with _named(self.path):
                self.flush()
        except OSError:
            if error is None:
                raise
        finally:
            with suppress(OSError):  # it holds what the state does not know of
                self._file.close()

    def add(self, block: AnsweredBlock) -> None:
        """Append the next rows."""
        with _named(self.path):
            self._file.write(block.data)
            # In one step: whatever interrupts this, the state knows all of the block or nothing.
            self.done = Progressed(
                self.done.blocks + 1,
                self.done.size + len(block.data),
                self.done.tally.plus(block.tally),
            )
            if monotonic() - self._flushed >= EVERY:
                self.flush()

    def flush(self) -> None:
        """From now on the rows so far are kept."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._write_state()
        self._flushed = monotonic()

    def finish(self, make: Callable[[Path, Path], None] | None) -> None:
        """Give the file its name. make: from the partial file and another path, where what is
        appended is not yet what the file should be. Raises NestlingError if another file has
        appeared there meanwhile; what has been written is kept.
        """
        with _named(self.path):
            self.flush()
            whole = self.partial
            if make is not None:
                whole = self.path.with_name(f"{self.path.name}.partial.whole")
                make(self.partial, whole)
                flush(whole)
            self._whole = list(standing(whole))
            self._write_state()
            if self.path.exists():
                if make is not None:
                    whole.unlink()
                raise self._is_there()
            whole.replace(self.path)
            flush(self.path.absolute().parent)
            self._clear()
            self._file.close()

    def _clear(self) -> None:
        self.partial.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def _locked(self) -> BinaryIO:
        """The partial file, made if need be."""
        file = os.fdopen(os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise NestlingError(
                f"--output: {self.path} is being written by another process"
            ) from None
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL):
                file.close()
                raise
        return file

    def _finished(self) -> Progressed:
        """Of a run like this one that only had to clear up."""
        if not self._state.exists():
            raise self._is_there()
        if read_hashed_json(self._state).get("whole") != list(standing(self.path)):
            raise self._is_there()
        return self._read()

    def _is_there(self) -> NestlingError:
        kept = ""
        if self._state.exists():
            kept = f"; what has been answered is kept in {self.partial}: move the other file away"
        return NestlingError(
            f"--output: {self.path} exists already, and is never written over{kept}"
        )

    def _left(self) -> Progressed:
        """What an earlier run has left."""
        size = self.partial.stat().st_size
        if not self._state.exists():
            if size:
                raise NestlingError(
                    f"--output: {self.partial} is there without {self._state.name}, which says "
                    "how much of it is whole; remove it to begin anew"
                )
            return Progressed(0, 0, Tally())
        left = self._read()
        if size < left.size:
            raise NestlingError(
                f"--output: {self.partial} has lost some of the {left.size:,} bytes that were "
                f"written; remove it and {self._state.name} to begin anew"
            )
        return left

    def _read(self) -> Progressed:
        data = self._compared()
        return Progressed(data["blocks"], data["size"], Tally.from_json(data["tally"]))

    def _compared(self) -> dict[str, Any]:
        data = read_hashed_json(self._state)
        for name, now in self._identity.items():
            before = data["identity"].get(name)
            if before != now:
                raise NestlingError(
                    f"--output: {self.partial} was begun with another {name} ({_short(before)}, "
                    f"now {_short(now)}); give the same again, or remove it and "
                    f"{self._state.name} to begin anew"
                )
        return data

    def _write_state(self) -> None:
        done = {
            "blocks": self.done.blocks,
            "size": self.done.size,
            "tally": asdict(self.done.tally),
        }
        written = {"schema": SCHEMA, "identity": self._identity, **done, "whole": self._whole}
        write_hashed_json(self._state, written)


def state_of(path: Path) -> Path:
    """Where the state of an output is kept while it is not whole."""
    return path.with_name(f"{path.name}.partial.json")


def _short(value: Any) -> str:
    """Hashes by their beginning."""
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the system say which file they are about."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
