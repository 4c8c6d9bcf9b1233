"""Texts and their labels: what is sent, and which answer is right."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from .errors import LoadtestError
from .files import read_bytes

SHOWN = 64
"""The most characters of a wrong value that the message repeats."""


@dataclass(frozen=True)
class Texts:
    """Texts and the label of each. name, sha256: of their file."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    name: str
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)


def read_texts(path: Path) -> Texts:
    """Read JSON Lines of `text` and `label`. An integer label is read as its digits.

    Raises LoadtestError that names file, line and field.
    """
    data = read_bytes(path)
    texts, labels = [], []
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        if line.strip():
            text, label = _row(line, f"{path}, line {number}")
            texts.append(text)
            labels.append(label)
    if not texts:
        raise LoadtestError(f"{path}: has no texts")
    return Texts(tuple(texts), tuple(labels), path.name, hashlib.sha256(data).hexdigest())


def _row(line: bytes, where: str) -> tuple[str, str]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LoadtestError(f"{where}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise LoadtestError(f"{where}: is no object of `text` and `label`")
    if type(row.get("label")) is int:
        row["label"] = str(row["label"])
    for field in ("text", "label"):
        value = row.get(field)
        if not isinstance(value, str):
            kind = "missing" if field not in row else orjson.dumps(value).decode()[:SHOWN]
            raise LoadtestError(f"{where}: `{field}` must be a string, and is {kind}")
        if not value.strip():
            raise LoadtestError(f"{where}: `{field}` is empty")
    return row["text"], row["label"]
