"""Graphs that were made before: reading them back needs neither the weights nor `onnx`.

One folder for the students of a checkpoint in a precision, in `$XDG_CACHE_HOME/nestling/onnx`, else
`~/.cache/nestling/onnx`, named by all that decides what is in it. It appears by one rename, and
every file is checked against its sha256 when it is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from ...cache_home import cache_home
from ...checkpoint.integrity import (
    SCHEMA,
    new_directory,
    read_hashed_json,
    sha256_of,
    verify,
    write_hashed_json,
)
from ...checkpoint.manifest import Manifest
from ...errors import CheckpointError, NestlingError
from ...precision import Precision
from .extra import GRAPHS, require

log = logging.getLogger(__name__)
ABOUT = "about.json"


@contextmanager
def graphs_of(manifest: Manifest, precision: Precision) -> Iterator[Path]:
    """A folder with a graph of each student, as `write_graphs` makes them: from the cache, or made
    now and left there.

    Where the cache cannot be written, a warning says so, and the folder is gone afterwards; who has
    mapped its files keeps them. Raises NestlingError if `onnx` is needed and not installed, and
    CheckpointError as `read_weights` does.
    """
    identity = _identity(manifest, precision)
    try:
        folder = _home() / hashlib.sha256(_canonical(identity)).hexdigest()[:32]
        if not _whole(folder):
            _make(folder, identity, manifest, precision)
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home directory
        log.warning("no cache of graphs (%s): each start makes them anew", error)
    else:
        yield folder
        return
    with TemporaryDirectory(prefix="nestling-onnx-") as temporary:
        _write(manifest, precision, Path(temporary))
        yield Path(temporary)


def is_kept(folder: Path) -> bool:
    """Whether the folder that `graphs_of` gave is there afterwards, too."""
    return (folder / ABOUT).exists()


def _home() -> Path:
    return cache_home("onnx")


def _identity(manifest: Manifest, precision: Precision) -> dict[str, Any]:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return {
        "weights_sha256": manifest.weights_sha256,
        "architecture": manifest.architecture.to_json(),
        "heads": manifest.architecture.heads_to_json(),
        "students": {name: each.spec.to_json() for name, each in manifest.students.items()},
        "precision": precision,
        "made_by": {file.name: sha256_of(file) for file in sources},
        "nestling": version("nestling"),
    }


def _canonical(identity: dict[str, Any]) -> bytes:
    return json.dumps(identity, sort_keys=True).encode()


def _whole(folder: Path) -> bool:
    """Whether a folder is there; one that is damaged is thrown away."""
    try:
        which = _which(folder)
    except FileNotFoundError:
        return False
    try:
        for name, sha256 in read_hashed_json(folder / ABOUT)["files"].items():
            verify(folder / name, sha256)
    except CheckpointError as error:
        log.warning("%s; making it anew", error)
        _discard(folder, which)
        return False
    return True


def _discard(folder: Path, which: tuple[int, int]) -> None:
    """Delete a folder if it is that one still, and not what another server has put in its place."""
    aside = folder.with_name(f".{folder.name}.{token_hex(4)}")
    try:
        if _which(folder) != which:
            return
        folder.rename(aside)
    except FileNotFoundError:  # another server was faster
        return
    shutil.rmtree(aside)


def _which(folder: Path) -> tuple[int, int]:
    """What tells it from another of its name: a number may be used again, but not so soon."""
    found = folder.stat()
    return found.st_ino, found.st_mtime_ns


def _make(folder: Path, identity: dict[str, Any], manifest: Manifest, precision: Precision) -> None:
    try:
        with new_directory(folder) as temporary:
            _write(manifest, precision, temporary)
            files = {file.name: sha256_of(file) for file in temporary.iterdir()}
            about = {"schema": SCHEMA, **identity, "files": files}
            write_hashed_json(temporary / ABOUT, about)
    except (OSError, NestlingError):
        if not _whole(folder):  # else another server was faster
            raise


def _write(manifest: Manifest, precision: Precision, folder: Path) -> None:
    require(*GRAPHS)
    from .bundle import write_graphs  # with `onnx`, which whoever finds them made never loads

    write_graphs(manifest, precision, folder)
