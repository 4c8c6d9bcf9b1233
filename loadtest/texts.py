"""Texts, or pairs of them, and their labels: what is sent, and which answer is right."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from .errors import LoadtestError
from .files import read_bytes

TextOrPair = str | tuple[str, str]
"""What a server is asked about at once: one text, or two together."""
SHOWN = 64
"""The most characters of a wrong value that the message repeats."""


@dataclass(frozen=True)
class Texts:
    """Texts, or pairs, and the label of each. several: each may have several labels, and `labels`
    holds each text's as `written` has them. name, sha256: of their file.
    """

    texts: tuple[TextOrPair, ...]
    labels: tuple[str, ...]
    name: str
    sha256: str
    several: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def pairs(self) -> bool:
        """Whether they are pairs; all are, or none."""
        return isinstance(self.texts[0], tuple)


def read_texts(path: Path) -> Texts:
    """Read JSON Lines of `text` and `label`, or `labels` (a list, which may be empty), and of
    `text_pair` if they are pairs: then every line has it. An integer label is read as its digits.

    Raises LoadtestError that names file, line and field.
    """
    data = read_bytes(path)
    texts: list[TextOrPair] = []
    labels: list[str] = []
    first, several = 0, False
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        if line.strip():
            text, label, listed = _row(line, f"{path}, line {number}")
            if not first:
                first, several = number, listed
            if listed != several:
                has, had = ("`labels`", "`label`") if listed else ("`label`", "`labels`")
                raise LoadtestError(f"{path}, line {number}: has {has}, and line {first} has {had}")
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
    return Texts(tuple(texts), tuple(labels), path.name, hashlib.sha256(data).hexdigest(), several)


def written(labels: Iterable[str]) -> str:
    """A set of labels as one text: sorted, in JSON, as Nestling's Open Inference Protocol has it.

    Not by orjson, which would write it without blanks.
    """
    return json.dumps(sorted(set(labels)), ensure_ascii=False)


def _row(line: bytes, where: str) -> tuple[TextOrPair, str, bool]:
    """A text, its label or labels in one text, and whether it is these."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LoadtestError(f"{where}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise LoadtestError(f"{where}: is no object of `text` and `label`")
    if type(row.get("label")) is int:
        row["label"] = str(row["label"])
    of_pair, listed = "text_pair" in row, "labels" in row
    if listed and "label" in row:
        raise LoadtestError(f"{where}: has both `label` and `labels`")
    for field in ("text", *["text_pair"] * of_pair, *["label"] * (not listed)):
        value = row.get(field)
        if not isinstance(value, str):
            kind = "missing" if field not in row else orjson.dumps(value).decode()[:SHOWN]
            raise LoadtestError(f"{where}: `{field}` must be a string, and is {kind}")
        if not value.strip():
            raise LoadtestError(f"{where}: `{field}` is empty")
    text = (row["text"], row["text_pair"]) if of_pair else row["text"]
    return text, _listed(row["labels"], where) if listed else row["label"], listed


def _listed(labels: Any, where: str) -> str:
    if not isinstance(labels, list):
        shown = orjson.dumps(labels).decode()[:SHOWN]
        raise LoadtestError(f"{where}: `labels` must be a list of strings, and is {shown}")
    names = [str(label) if type(label) is int else label for label in labels]
    for name in names:
        if not isinstance(name, str) or not name.strip():
            shown = orjson.dumps(name).decode()[:SHOWN]
            raise LoadtestError(
                f"{where}: `labels` must be strings with something in them; {shown}"
            )
    return written(names)
