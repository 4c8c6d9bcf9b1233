"""A server with one running experiment, shared by these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...experiments.conftest import cluster
from ..serving import Server
from .recording import ADMIN_HASH, declaration, running, start

__all__ = ["cluster"]


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="package")
def server(calibrated_dir: Path, folder: Path) -> Iterator[Server]:
    keys = folder / "keys"
    keys.write_text(f"admin {ADMIN_HASH}\n")
    with start(calibrated_dir, folder, declaration(running()), "--admin-keys", str(keys)) as one:
        yield one
