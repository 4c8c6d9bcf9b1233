"""Where a file has its texts, or its pairs of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DataError
from ..text import Text, joined
from .cells import ABSENT, as_texts, fault_of
from .columns import Columns


@dataclass(frozen=True)
class TextColumns:
    """The columns of the text, and of the second text of a pair.

    pairs: whether every row has both; None where the file says so, by having the second column.
    """

    text: str = "text"
    pair: str = "text_pair"
    pairs: bool | None = False

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that the file must have."""
        return (self.text, self.pair) if self.pairs else (self.text,)

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that it may have."""
        return (self.pair,) if self.pairs is None else ()

    def as_in(self, columns: Columns) -> TextColumns:
        """The same, of a file with these columns, where it is known whether it has pairs."""
        if self.pairs is not None:
            return self
        return replace(self, pairs=any(cell is not ABSENT for cell in columns[self.pair]))

    def texts(self, columns: Columns, path: Path) -> tuple[Text, ...]:
        """Of each row. Raises DataError that names the first row without one, or half of a pair."""
        names = self.as_in(columns).needed
        rows = zip(*(as_texts(columns[name], name, path) for name in names), strict=True)
        return tuple(map(joined, rows))

    def fault_in(self, row: Mapping[str, object]) -> str | None:
        """The first column of a row that holds no text, and what is wrong there; None if all do."""
        for name in self.needed:
            fault = fault_of(row.get(name, ABSENT))
            if fault is not None:
                return f"{name} {fault}"
        return None

    def refuse_same(self, path: Path, others: Iterable[tuple[str, str | None]] = ()) -> None:
        """Raises DataError where two kinds of values would be read from one column.

        others: kinds of values, and the column of each.
        """
        own = [("text", self.text)] + [("text_pair", self.pair)] * (self.pairs is not False)
        seen: dict[str, str] = {}
        for kind, column in (*own, *others):
            if column is not None and (other := seen.setdefault(column, kind)) != kind:
                raise DataError(
                    f"{path}: {other} and {kind} are both read from the column {column!r}"
                )


TEXT = TextColumns()
"""One text a row, in the column `text`."""
TEXT_OR_PAIR = TextColumns(pairs=None)
"""Pairs where a file has the column `text_pair`."""
