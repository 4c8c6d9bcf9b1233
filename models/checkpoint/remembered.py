"""What was found by reading all of a file, so that the next start need not read it again.

A small file per file in `$XDG_CACHE_HOME/nestling/verified`, named by the device, inode, size, and
times of change of the file that it is about. Whoever writes to that file, or puts another in its
place, changes one of these: the system sets the ctime, which nobody can set back. Nothing is kept,
and all is read each time,

- of a file that was changed less than `SETTLED` seconds before it was read: a later change could
  have the same times, as within a tick of the file system's clock (git's racy index);
- of a file that changed while it was read;
- of a file on a file system that is none of `LOCAL`: a network's clock, and its notion of what has
  changed, are another machine's;
- where the folder or the file in it belongs to somebody else, or others may write there, who could
  vouch for what they like.

A disk that loses bits by itself is not noticed while the system says that nothing has changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from ..cache_home import cache_home

log = logging.getLogger(__name__)
SMALLEST = 2**20
"""Bytes of a file from which on remembering is faster than reading."""
SETTLED = 5.0
"""Seconds; file systems keep times to within 2 of them at worst."""
LOCAL = ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs")
MOUNTS = Path("/proc/self/mountinfo")
OTHERS_MAY_WRITE = 0o022


@dataclass
class FileFact:
    """One thing that is known of a file, or to be found. value: None while it is not known."""

    value: str | None = None


@contextmanager
def fact_of(path: Path, name: str) -> Iterator[FileFact]:
    """What is remembered of a file under a name; a value that is set within is remembered.

    Whatever stands in the way of remembering only costs time. Raises OSError if the file is not
    there.
    """
    began, identity = time.time(), _identity(path)
    place = _place(path, identity, began)
    known = _read(place) if place else {}
    fact = FileFact(known.get(name))
    before = fact.value
    yield fact
    if place and fact.value is not None and fact.value != before and _identity(path) == identity:
        _write(place, {**_read(place), name: fact.value})


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _place(path: Path, identity: tuple[int, ...], now: float) -> Path | None:
    """The file that remembers it; None where nothing may be remembered."""
    _, _, size, *changed = identity
    if size < SMALLEST or now - max(changed) / 1e9 < SETTLED or not _is_local(path):
        return None
    try:
        folder = cache_home("verified")
    except RuntimeError:  # this user has no home directory
        return None
    return folder / f"{hashlib.sha256(repr(identity).encode()).hexdigest()[:32]}.json"


def _is_local(path: Path) -> bool:
    """Whether it lies on a file system of this machine; no, if that cannot be told."""
    best, kind = -1, ""
    whole = path.resolve()
    with suppress(OSError):
        for line in MOUNTS.read_text("utf-8", "surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            point = _unescaped(before.split(" ")[4])
            if whole.is_relative_to(point) and len(point) >= best:  # of two the later is on top
                best, kind = len(point), after.split(" ")[0]
    return kind in LOCAL


def _unescaped(point: str) -> str:
    """Blanks and the like, which the list of mounts has in octal."""
    for octal in ("\\040", "\\011", "\\012", "\\134"):
        point = point.replace(octal, chr(int(octal[1:], 8)))
    return point


def _read(place: Path) -> dict[str, str]:
    """What is remembered; nothing if that cannot be trusted, or read."""
    try:
        if not _is_ours(place.parent) or not _is_ours(place):
            return {}
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        return {}
    return found


def _is_ours(path: Path) -> bool:
    found = path.lstat()
    return found.st_uid == os.geteuid() and not found.st_mode & OTHERS_MAY_WRITE


def _write(place: Path, facts: dict[str, str]) -> None:
    """By a rename: other processes read all of it or what was there before."""
    temporary = place.with_name(f".{place.name}.{token_hex(8)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_ours(place.parent):
            return
        try:
            temporary.touch(0o600, exist_ok=False)
            temporary.write_text(json.dumps(facts), "utf-8")
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        log.info("%s: cannot be written (%s): the next start reads the file again", place, error)
