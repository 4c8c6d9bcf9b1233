"""Texts and labels from JSON Lines, CSV or Parquet, read by Hugging Face `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .errors import DataError
from .integrity import sha256_of

if TYPE_CHECKING:
    import datasets

READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


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
    texts, labels = _read_columns(Path(path), (text_column, label_column))
    return Labelled(texts, labels, sha256_of(Path(path)))


def read_texts(path: str | Path, text_column: str = "text") -> tuple[str, ...]:
    """Texts alone. Raises DataError that names the file, the column and the row at fault."""
    (texts,) = _read_columns(Path(path), (text_column,))
    return texts


def label_indices(data: Labelled, known: Sequence[str], path: str | Path) -> list[int]:
    """Each label's index among the known ones. Raises DataError that names the first unknown."""
    index = {label: i for i, label in enumerate(known)}
    for row, label in enumerate(data.labels, start=1):
        if label not in index:
            raise DataError(
                f"{path}: row {row}: label {label!r} is none of the {len(known)} known labels"
            )
    return [index[label] for label in data.labels]


def _read_columns(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    import datasets  # heavy: only the commands that read data pay for it

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix not in READERS:
        raise DataError(f"{path}: {path.suffix or 'no suffix'} is none of {', '.join(READERS)}")
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # we raise what it would log
    with TemporaryDirectory() as cache:  # nothing stale, nothing left behind
        try:
            table = getattr(datasets.Dataset, f"from_{READERS[path.suffix]}")(
                str(path), cache_dir=cache
            )
        except Exception as error:  # the library wraps its parsers' errors in several kinds
            raise DataError(f"{path}: cannot be read ({error.__cause__ or error})") from error
        return [_column(table, column, path) for column in columns]


def _column(table: datasets.Dataset, column: str, path: Path) -> tuple[str, ...]:
    if len(table) == 0:
        raise DataError(f"{path}: no rows")
    if column not in table.column_names:
        raise DataError(f"{path}: no column {column!r}; there are {', '.join(table.column_names)}")
    values = list(table[column])
    for row, value in enumerate(values, start=1):
        if value is None or str(value).strip() == "":
            raise DataError(f"{path}: row {row}: {column} is empty")
    return tuple(str(value) for value in values)
