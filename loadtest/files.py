"""Files that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from .errors import LoadtestError


def read_bytes(path: Path) -> bytes:
    """All that a file holds. Raises LoadtestError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise LoadtestError(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """Raises LoadtestError if the file cannot be read, or is not JSON."""
    try:
        return orjson.loads(read_bytes(path))
    except orjson.JSONDecodeError as error:
        raise LoadtestError(f"{path}: is not JSON: {error}") from error
