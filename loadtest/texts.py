"""Texts, or pairs of them, and their labels: what is sent, and which answer is right."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from .errors import LoadtestError
from .files import read_bytes

TextOrPair = str | tuple[str, str]
"""What a server is asked about at once: one text, or two together."""
SHOWN = 64
"""The most characters of a wrong value that the message repeats."""


@dataclass(frozen=True)
class Texts:
    """Texts, or pairs, and the label of each. name, sha256: of their file."""

    texts: tuple[TextOrPair, ...]
    labels: tuple[str, ...]
    name: str
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def pairs(self) -> bool:
        """Whether they are pairs; all are, or none."""
        return isinstance(self.texts[0], tuple)


def read_texts(path: Path) -> Texts:
    """Read JSON Lines of `text` and `label`, and of `text_pair` if they are pairs: then every line
    has it. An integer label is read as its digits.

    Raises LoadtestError that names file, line and field.
    """
    data = read_bytes(path)
    texts: list[TextOrPair] = []
    labels: list[str] = []
    first = 0
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        if line.strip():
            text, label = _row(line, f"{path}, line {number}")
            first = first or number
            if texts and type(text) is not type(texts[0]):
                has, had = ("has a", "none") if isinstance(text, tuple) else ("has no", "one")
                raise LoadtestError(
                    f"{path}, line {number}: {has} `text_pair`, and line {first} has {had}; "
                    "all lines are pairs of texts, or none is"
                )
            texts.append(text)
            labels.append(label)
    if not texts:
        raise LoadtestError(f"{path}: has no texts")
    return Texts(tuple(texts), tuple(labels), path.name, hashlib.sha256(data).hexdigest())


def _row(line: bytes, where: str) -> tuple[TextOrPair, str]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LoadtestError(f"{where}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise LoadtestError(f"{where}: is no object of `text` and `label`")
    if type(row.get("label")) is int:
        row["label"] = str(row["label"])
    of_pair = "text_pair" in row
    for field in ("text", *["text_pair"] * of_pair, "label"):
        value = row.get(field)
        if not isinstance(value, str):
            kind = "missing" if field not in row else orjson.dumps(value).decode()[:SHOWN]
            raise LoadtestError(f"{where}: `{field}` must be a string, and is {kind}")
        if not value.strip():
            raise LoadtestError(f"{where}: `{field}` is empty")
    return (row["text"], row["text_pair"]) if of_pair else row["text"], row["label"]
