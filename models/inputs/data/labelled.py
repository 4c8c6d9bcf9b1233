"""Texts, and what their labels are called: as the file has them, or refused with the row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...nearest import did_you_mean
from ..text import Text
from .cells import as_groups, as_labels, is_nothing
from .columns import read_columns
from .naming import listed
from .probabilities import Probabilities, as_probabilities, most_probable
from .text_columns import TEXT, TextColumns


@dataclass(frozen=True)
class Labelled:
    """Texts, or pairs, with the names of their labels, in file order; sha256 of the file.

    probabilities: of the labels of each text, None for a text that has none; empty where no text
    has any.
    """

    texts: tuple[Text, ...]
    labels: tuple[str, ...]
    sha256: str
    probabilities: tuple[Probabilities | None, ...] = ()

    @property
    def names(self) -> dict[str, int]:
        """Every name of a label, as a text's own or among its probabilities, in file order, and
        the first row that has it, counted from 1.
        """
        rows: dict[str, int] = {}
        for row, label in enumerate(self.labels, start=1):
            rows.setdefault(label, row)
            for name in (self.probabilities and self.probabilities[row - 1]) or ():
                rows.setdefault(name, row)
        return rows


def read_labelled(
    path: str | Path,
    texts: TextColumns = TEXT,
    label_column: str = "label",
    probabilities_column: str | None = None,
) -> Labelled:
    """Texts with labels. With a column of probabilities a text may lack one of the two, and the
    file the column of labels: then its label is the most probable one.

    Raises DataError that names the file, the column and the row at fault.
    """
    path = Path(path)
    others = [("label", label_column), ("probabilities", probabilities_column)]
    texts.refuse_same(path, others)
    if probabilities_column is None:
        content, columns = read_columns(path, (*texts.needed, label_column), texts.optional)
        given: tuple[Probabilities | None, ...] = ()
    else:
        wanted = (*texts.needed, probabilities_column)
        content, columns = read_columns(path, wanted, (*texts.optional, label_column))
        given = as_probabilities(columns[probabilities_column], probabilities_column, path)
    found = texts.texts(columns, path)
    likely = {row: most_probable(each) for row, each in enumerate(given, start=1) if each}
    for row, value in enumerate(columns[label_column], start=1):
        if given and row not in likely and is_nothing(value):
            raise DataError(
                f"{path}: row {row}: has neither {label_column} nor {probabilities_column}"
            )
    labels = as_labels(columns[label_column], label_column, path, otherwise=likely)
    return Labelled(found, labels, hashlib.sha256(content).hexdigest(), given)


def read_texts(path: str | Path, texts: TextColumns = TEXT) -> tuple[Text, ...]:
    """Texts alone. Raises DataError that names the file, the column and the row at fault."""
    path = Path(path)
    texts.refuse_same(path)
    _, columns = read_columns(path, texts.needed, texts.optional)
    return texts.texts(columns, path)


def read_groups(path: str | Path, column: str, texts: TextColumns = TEXT) -> tuple[str, ...]:
    """Of each text, which group of that column it belongs to.

    Raises DataError that names the file, the column and the row at fault.
    """
    path = Path(path)
    texts.refuse_same(path, [("group", column)])
    _, columns = read_columns(path, (texts.text, column))
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
