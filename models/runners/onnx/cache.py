"""Graphs that were made before: making one takes seconds, reading it back a moment.

One folder per graph in `$XDG_CACHE_HOME/nestling/onnx`, else `~/.cache/nestling/onnx`, named by all
that decides what is in it. It appears by one rename, and every file is checked against its sha256
when it is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...checkpoint.integrity import (
    SCHEMA,
    new_directory,
    read_hashed_json,
    sha256_of,
    verify,
    write_hashed_json,
)
from ...checkpoint.load import Checkpoint
from ...errors import CheckpointError, NestlingError
from ...nested.spec import StudentSpec
from ...precision import Precision
from .extra import GRAPHS, require
from .weights import weights_of
from .write import write_graph

log = logging.getLogger(__name__)
GRAPH, ABOUT = "model.onnx", "about.json"


@contextmanager
def graph_of(checkpoint: Checkpoint, spec: StudentSpec, precision: Precision) -> Iterator[Path]:
    """A student's graph in a file: from the cache, or made now and left there.

    Where the cache cannot be written, a warning says so, and the file is gone afterwards.
    Raises NestlingError as `write_graph` does.
    """
    require(*GRAPHS)
    identity = _identity(checkpoint, spec, precision)
    try:
        folder = _home() / hashlib.sha256(_canonical(identity)).hexdigest()[:32]
        file = _read(folder) or _make(folder, identity, checkpoint, spec, precision)
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home directory
        log.warning("no cache of graphs (%s): each start makes them anew", error)
    else:
        yield file
        return
    with TemporaryDirectory(prefix="nestling-onnx-") as temporary:
        _write(checkpoint, spec, Path(temporary) / GRAPH, precision)
        yield Path(temporary) / GRAPH


def _home() -> Path:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = given if given.is_absolute() else Path.home() / ".cache"  # as the specification has it
    return base / "nestling" / "onnx"


def _identity(checkpoint: Checkpoint, spec: StudentSpec, precision: Precision) -> dict[str, Any]:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return {
        "weights_sha256": checkpoint.weights_sha256,
        "architecture": checkpoint.architecture.to_json(),
        "dtype": str(checkpoint.model.dtype),
        "student": spec.to_json(),
        "precision": precision,
        "exporter": {file.name: sha256_of(file) for file in sources},
        "versions": {name: version(name) for name in ("nestling", *GRAPHS)},
    }


def _canonical(identity: dict[str, Any]) -> bytes:
    return json.dumps(identity, sort_keys=True).encode()


def _read(folder: Path) -> Path | None:
    """The graph in a folder; what is damaged there is thrown away."""
    if not folder.exists():
        return None
    try:
        for name, sha256 in read_hashed_json(folder / ABOUT)["files"].items():
            verify(folder / name, sha256)
    except CheckpointError as error:
        log.warning("%s; making it anew", error)
        shutil.rmtree(folder)
        return None
    return folder / GRAPH


def _write(checkpoint: Checkpoint, spec: StudentSpec, file: Path, precision: Precision) -> None:
    write_graph(checkpoint.architecture, weights_of(checkpoint.model), spec, file, precision)


def _make(
    folder: Path,
    identity: dict[str, Any],
    checkpoint: Checkpoint,
    spec: StudentSpec,
    precision: Precision,
) -> Path:
    try:
        with new_directory(folder) as temporary:
            _write(checkpoint, spec, temporary / GRAPH, precision)
            files = {file.name: sha256_of(file) for file in temporary.iterdir()}
            about = {"schema": SCHEMA, **identity, "files": files}
            write_hashed_json(temporary / ABOUT, about)
    except (OSError, NestlingError):
        if (file := _read(folder)) is None:  # else another server was faster
            raise
        return file
    return folder / GRAPH
