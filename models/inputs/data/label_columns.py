"""Where a file has the labels of its texts, and whether each text has one or several."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import DataError
from .cells import ABSENT, fault_of, is_nothing, kind_of, shown
from .columns import Columns

Kind = Literal["single_label", "multi_label"]
COLUMN: dict[Kind, str] = {"single_label": "label", "multi_label": "labels"}
"""That holds them, by default."""
LabelSet = tuple[str, ...]


@dataclass(frozen=True)
class LabelColumns:
    """column: that holds them, or None for those of `COLUMN`. kind: None where the file says so: it
    has several labels a text if their column is called `labels`, or has lists.
    """

    column: str | None = None
    kind: Kind | None = "single_label"

    @property
    def candidates(self) -> tuple[str, ...]:
        """The columns that may hold them, the first that is there. Several labels may stand in
        `label` too, as lists.
        """
        if self.column is not None:
            return (self.column,)
        one, several = COLUMN["single_label"], COLUMN["multi_label"]
        if self.kind == "single_label":
            return (one,)
        return (several, one) if self.kind == "multi_label" else (one, several)

    def found_in(self, columns: Columns) -> tuple[str, Kind] | None:
        """Which column of a file holds them, and what they are; None where there is none."""
        for name in self.candidates:
            cells = [cell for cell in columns[name] if cell is not ABSENT]
            if cells and self.kind is not None:
                return name, self.kind
            if cells:
                several = name == COLUMN["multi_label"] or any(isinstance(c, list) for c in cells)
                return name, "multi_label" if several else "single_label"
        return None


LABEL = LabelColumns()
"""One label a text, in the column `label`."""
AS_FILE = LabelColumns(kind=None)
"""One label a text or several, as the file has them."""


def as_label_sets(values: list[object], column: str, path: Path) -> tuple[LabelSet, ...]:
    """Lists of names, or texts that hold such a list as JSON; none may be there as well. Each name
    once, in alphabetical order.

    Raises DataError that names the first row with anything else.
    """
    sets = []
    first: tuple[int, type] | None = None
    for row, value in enumerate(values, start=1):
        where = f"{path}: row {row}: {column}"
        names = _listed(value, where)
        for name in names:
            whole = isinstance(name, int) and not isinstance(name, bool)
            if not whole and (fault := fault_of(name, "a text or a whole number")):
                raise DataError(f"{where} has a label that {fault}")
            first = first or (row, type(name))
            if type(name) is not first[1]:
                raise DataError(
                    f"{where} has {shown(name)}, but row {first[0]} has {kind_of(first[1])}; "
                    "labels are all texts or all whole numbers"
                )
        sets.append(tuple(sorted(set(map(str, names)))))
    return tuple(sets)


def written(labels: LabelSet) -> str:
    """A set as one text: a list in JSON."""
    return json.dumps(labels, ensure_ascii=False)


def _listed(value: object, where: str) -> list[object]:
    """The list of a cell."""
    cell = value
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} begins like a list, but is not JSON: {error}") from None
    if isinstance(cell, list):
        return cell
    said = "is missing" if is_nothing(cell) else f"is {shown(cell)}"
    raise DataError(f"{where} {said}; expected a list of labels, which may be empty")
