"""Where a file has the labels of its texts, and whether each text has one or several."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import DataError
from .cells import ABSENT, as_labels, fault_of, is_nothing, shown
from .columns import Columns

Kind = Literal["single_label", "multi_label"]
COLUMN: dict[Kind, str] = {"single_label": "label", "multi_label": "labels"}
"""That holds them, by default."""
LabelSet = tuple[str, ...]


@dataclass(frozen=True)
class LabelColumns:
    """column: that holds them, or None for `COLUMN`. kind: None where the file says so: it has
    several labels a text if their column is called `labels`, or has lists.
    """

    column: str | None = None
    kind: Kind | None = "single_label"

    @property
    def candidates(self) -> tuple[str, ...]:
        """The columns that may hold them."""
        if self.column is not None:
            return (self.column,)
        return (COLUMN[self.kind],) if self.kind else tuple(COLUMN.values())

    def found_in(self, columns: Columns) -> tuple[str, Kind]:
        """Which column of a file holds them, and what they are."""
        there = [
            name for name in self.candidates if any(c is not ABSENT for c in columns.get(name, ()))
        ]
        name = there[0] if there else self.candidates[0]
        if self.kind is not None:
            return name, self.kind
        several = name == COLUMN["multi_label"] or any(isinstance(c, list) for c in columns[name])
        return name, "multi_label" if several and there else "single_label"


LABEL = LabelColumns()
"""One label a text, in the column `label`."""
AS_FILE = LabelColumns(kind=None)
"""One label a text or several, as the file has them."""


def as_label_sets(values: list[object], column: str, path: Path) -> tuple[LabelSet, ...]:
    """Lists of names, or texts that hold such a list as JSON; none may be there as well. Each name
    once, in alphabetical order.

    Raises DataError that names the first row with anything else.
    """
    return tuple(
        _label_set(value, f"{path}: row {row}: {column}", column, path)
        for row, value in enumerate(values, start=1)
    )


def written(labels: LabelSet) -> str:
    """A set as one text: a list in JSON."""
    return json.dumps(labels, ensure_ascii=False)


def _label_set(value: object, where: str, column: str, path: Path) -> LabelSet:
    cell = value
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise DataError(f"{where} begins like a list, but is not JSON: {error}") from None
    if not isinstance(cell, list):
        said = "is missing" if is_nothing(cell) else f"is {shown(cell)}"
        raise DataError(f"{where} {said}; expected a list of labels, which may be empty")
    for name in cell:
        whole = isinstance(name, int) and not isinstance(name, bool)
        if not whole and (fault := fault_of(name, "a text or a whole number")):
            raise DataError(f"{where} has a label that {fault}")
    names = as_labels(cell, column, path) if cell else ()
    return tuple(sorted(set(names)))
