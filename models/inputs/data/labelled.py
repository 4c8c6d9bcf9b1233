"""Texts, and what their labels are called: as the file has them, or refused with the row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...nearest import did_you_mean
from .cells import as_groups, as_labels, as_texts
from .columns import read_columns
from .naming import listed


@dataclass(frozen=True)
class Labelled:
    """Texts with the names of their labels, in file order; sha256 of the file."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    sha256: str


def read_labelled(
    path: str | Path, text_column: str = "text", label_column: str = "label"
) -> Labelled:
    """Raises DataError that names the file, the column and the row at fault."""
    path = Path(path)
    if text_column == label_column:
        raise DataError(f"{path}: text and label are both read from the column {text_column!r}")
    content, columns = read_columns(path, (text_column, label_column))
    texts = as_texts(columns[text_column], text_column, path)
    labels = as_labels(columns[label_column], label_column, path)
    return Labelled(texts, labels, hashlib.sha256(content).hexdigest())


def read_texts(path: str | Path, text_column: str = "text") -> tuple[str, ...]:
    """Texts alone. Raises DataError that names the file, the column and the row at fault."""
    _, columns = read_columns(Path(path), (text_column,))
    return as_texts(columns[text_column], text_column, Path(path))


def read_groups(path: str | Path, column: str, text_column: str = "text") -> tuple[str, ...]:
    """Of each text, which group of that column it belongs to.

    Raises DataError that names the file, the column and the row at fault.
    """
    path = Path(path)
    if column == text_column:
        raise DataError(f"{path}: text and group are both read from the column {column!r}")
    _, columns = read_columns(path, (text_column, column))
    return as_groups(columns[column], column, path)


def label_indices(data: Labelled, known: Sequence[str], path: str | Path) -> list[int]:
    """Each label's index among the known ones. Raises DataError that names the first unknown."""
    index = {label: i for i, label in enumerate(known)}
    for row, label in enumerate(data.labels, start=1):
        if label not in index:
            raise DataError(
                f"{path}: row {row}: label {label!r} is none of the {len(known)} known labels, "
                f"{listed(known)}{did_you_mean(label, known)}"
            )
    return [index[label] for label in data.labels]
