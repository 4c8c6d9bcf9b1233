"""Files that are read back as they were written: hashed, replaced in one step, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from secrets import token_hex
from typing import Any

from ..errors import CheckpointError, NestlingError
from .remembered import fact_of

SCHEMA = 1
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def replace_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it: nobody ever sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_hashed_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON that carries its own hash, as `replace_text` does."""
    content = {"sha256": _digest(data), **data}
    replace_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_hashed_json(path: Path, schemas: Sequence[int] = (SCHEMA,)) -> dict[str, Any]:
    """Read what `write_hashed_json` wrote, in one of these schemas.

    Raises CheckpointError if it was altered, or holds a number that is not finite.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(path, "missing") from None
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise CheckpointError(path, f"not JSON ({error}); truncated or altered") from None
    if not isinstance(data, dict) or "schema" not in data:
        raise CheckpointError(path, "not part of a Nestling checkpoint (no schema version)")
    if data["schema"] not in schemas:
        known = " and ".join(map(str, schemas))
        raise CheckpointError(
            path, f"schema version {data['schema']}; this version of Nestling reads {known}"
        )
    if data.pop("sha256", None) != _digest(data):
        raise CheckpointError(path, "its content does not match its sha256; altered")
    for field, number in _numbers(data):
        if not isfinite(number):
            raise CheckpointError(path, f"{field}: {number} is not finite")
    return data


def _numbers(value: Any, field: str = "") -> Iterator[tuple[str, float]]:
    """All numbers with a fraction in what JSON holds, and where each stands."""
    if isinstance(value, float):
        yield field, value
    elif isinstance(value, dict | list):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in named:
            yield from _numbers(inner, f"{field}.{name}" if field else str(name))


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(data: Mapping[str, Any]) -> str:
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def flush(path: Path) -> None:
    """Wait until a file, or a directory's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_directory(path: Path, kind: str = "an export") -> Iterator[Path]:
    """A directory under a temporary name, to be filled; then it is renamed, or removed on an error.

    kind: what it holds, for the message. Raises NestlingError if `path` exists.
    """
    if path.exists():
        raise NestlingError(f"{path}: exists already; {kind} is never written over")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by the process's number alone: in containers that is always the same, and what a killed
    # process left behind stays.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            flush(file)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    flush(path.parent)


def refuse_pickles(path: Path) -> None:
    """Raise CheckpointError if a directory holds a file that runs code when it is read."""
    for file in sorted(path.iterdir()):
        if file.suffix in PICKLES:
            raise CheckpointError(file, "a pickle may run code when it is read; refused")


def verify(path: Path, expected: str) -> None:
    """Raise CheckpointError unless a file is there and has this sha256.

    A large file is read once, and again when it was changed since: see `remembered`.
    """
    if not path.is_file():
        raise CheckpointError(path, "missing")
    with fact_of(path, "sha256") as fact:
        actual = fact.value = fact.value or sha256_of(path)
    if actual != expected:
        raise CheckpointError(
            path, f"its sha256 is {actual[:12]}…, expected {expected[:12]}…; truncated or altered"
        )
