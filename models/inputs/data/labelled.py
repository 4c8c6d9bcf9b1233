"""Texts, and what their labels are called: as the file has them, or refused with the row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ..text import Text
from .cells import as_groups, as_labels, is_nothing
from .columns import read_columns
from .label_columns import LABEL, Kind, LabelColumns, LabelSet, as_label_sets, written
from .probabilities import Probabilities, as_probabilities, most_probable
from .text_columns import TEXT, TextColumns


@dataclass(frozen=True)
class Labelled:
    """Texts, or pairs, with the names of their labels, in file order; sha256 of the file.

    kind: whether each text has one label or several. sets: of each text, where there are several;
    `labels` has each set as one text. probabilities: of the labels of each text, None for a text
    that has none; empty where no text has any.
    """

    texts: tuple[Text, ...]
    labels: tuple[str, ...]
    sha256: str
    probabilities: tuple[Probabilities | None, ...] = ()
    kind: Kind = "single_label"
    sets: tuple[LabelSet, ...] = ()

    @property
    def named(self) -> tuple[LabelSet, ...]:
        """The names of the labels of each text, one or several."""
        return self.sets if self.kind == "multi_label" else tuple((each,) for each in self.labels)

    @property
    def names(self) -> dict[str, int]:
        """Every name of a label, as a text's own or among its probabilities, in file order, and
        the first row that has it, counted from 1.
        """
        rows: dict[str, int] = {}
        for row, labels in enumerate(self.named, start=1):
            for name in labels:
                rows.setdefault(name, row)
            for name in (self.probabilities and self.probabilities[row - 1]) or ():
                rows.setdefault(name, row)
        return rows


def read_labelled(
    path: str | Path,
    texts: TextColumns = TEXT,
    labels: LabelColumns = LABEL,
    probabilities_column: str | None = None,
) -> Labelled:
    """Texts with labels. With a column of probabilities a text may lack one of the two, and the
    file the column of labels: then its label is the most probable one.

    Raises DataError that names the file, the column and the row at fault.
    """
    path = Path(path)
    one, *others = labels.candidates
    texts.refuse_same(path, [("label", one), ("probabilities", probabilities_column)])
    needed, optional = list(texts.needed), list(texts.optional)
    if probabilities_column is not None:
        needed.append(probabilities_column)
        optional += labels.candidates
    elif others:
        optional += labels.candidates
    else:
        needed.append(one)
    content, columns = read_columns(path, needed, optional)
    found = texts.texts(columns, path)
    there = labels.found_in(columns)
    if there is None and probabilities_column is None:
        raise DataError(f"{path}: has none of the columns {', '.join(labels.candidates)}")
    column, kind = there or (one, labels.kind or "single_label")
    sha256 = hashlib.sha256(content).hexdigest()
    if kind == "multi_label":
        if probabilities_column is not None:
            raise DataError(
                f"{path}: {probabilities_column}: probabilities are of one label a text, and each "
                "text has several labels here"
            )
        sets = as_label_sets(columns[column], column, path)
        return Labelled(found, tuple(map(written, sets)), sha256, (), kind, sets)
    if probabilities_column is None:
        return Labelled(found, as_labels(columns[column], column, path), sha256)
    given = as_probabilities(columns[probabilities_column], probabilities_column, path)
    likely = {row: most_probable(each) for row, each in enumerate(given, start=1) if each}
    for row, value in enumerate(columns[column], start=1):
        if row not in likely and is_nothing(value):
            raise DataError(f"{path}: row {row}: has neither {column} nor {probabilities_column}")
    names = as_labels(columns[column], column, path, otherwise=likely)
    return Labelled(found, names, sha256, given)


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
