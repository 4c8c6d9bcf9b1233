"""Texts and their labels: what is sent, and what a right answer is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from .errors import LoadtestError


@dataclass(frozen=True)
class Texts:
    """texts and labels go together. name, sha256: of their file."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    name: str
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)


def read_texts(path: Path) -> Texts:
    """From JSON Lines of `text` and `label`.

    Raises LoadtestError that names file, line and field.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LoadtestError(f"{path}: cannot be read: {error.strerror}") from error
    texts, labels = [], []
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            row = _row(line, f"{path}, line {number}")
            texts.append(row["text"])
            labels.append(row["label"])
    if not texts:
        raise LoadtestError(f"{path}: has no texts")
    return Texts(tuple(texts), tuple(labels), path.name, hashlib.sha256(data).hexdigest())


def _row(line: bytes, where: str) -> dict[str, str]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LoadtestError(f"{where}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise LoadtestError(f"{where}: is no object of `text` and `label`")
    for field in ("text", "label"):
        if not isinstance(row.get(field), str):
            kind = "missing" if field not in row else type(row[field]).__name__
            raise LoadtestError(f"{where}: `{field}` must be a string, and is {kind}")
    return row
