"""From a file to the raw values of its columns, by the file's suffix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import DataError
from . import comma_separated, json_objects, parquet
from .cells import ABSENT

Columns = dict[str, list[object]]
Reader = Callable[[bytes, Sequence[str], Sequence[str], Path], Columns]
READERS: dict[str, Reader] = {
    ".jsonl": json_objects.read_lines,
    ".json": json_objects.read_document,
    ".csv": comma_separated.read,
    ".parquet": parquet.read,
}
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def read_columns(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> tuple[bytes, Columns]:
    """The file's bytes, and the values of these columns, all of one length, at least one row.

    optional: columns that the file may lack; then every value is `ABSENT`.
    Raises DataError that names the file and what is wrong with it.
    """
    try:
        reader = _reader(path)
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not content:
        raise DataError(f"{path}: no rows: the file is empty")
    found = reader(content, columns, optional, path)
    rows = len(found[columns[0]])
    if not rows:
        raise DataError(f"{path}: no rows")
    return content, {column: [ABSENT] * rows for column in optional} | found


def _reader(path: Path) -> Reader:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; data are one file")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        packed = "; unpack it" if suffix in PACKED else ""
        known = ", ".join(READERS)
        raise DataError(f"{path}: {suffix or 'no suffix'} is none of {known}{packed}")
    return READERS[suffix]
