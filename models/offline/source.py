"""The file with the texts: read in blocks, and looked through before anything is answered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.integrity import sha256_of
from ..errors import DataError
from ..inputs.data.columns import PACKED
from ..inputs.data.decoding import find_columns
from ..inputs.data.text_columns import TextColumns
from ..progress import Progress
from .formats import comma_separated, json_lines, parquet
from .formats.rows import RowBlock
from .table import kept_names

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


@dataclass(frozen=True)
class CheckedSource:
    """What a file holds that can be read to its end.

    rows, blocks: how many. size: in bytes. kept: what its columns are called in the output. schema:
    of the columns, where the output is to have types; else None.
    """

    rows: int
    blocks: int
    size: int
    sha256: str
    kept: dict[str, str]
    schema: pa.Schema | None


def blocks_of(path: Path, columns: Sequence[str], source: str) -> Iterator[RowBlock]:
    """Always the same of the same file. columns: those that hold the texts. source: what messages
    call it.

    Raises DataError that names it, and the line at fault.
    """
    suffix = _suffix(path)
    if suffix == ".csv":
        yield from comma_separated.blocks(path, columns)
    elif suffix == ".parquet":
        parquet.require(path)
        yield from parquet.blocks(path, columns)
    elif suffix == ".json":
        yield from json_lines.document_blocks(path)
    else:
        with path.open("rb") as file:
            yield from json_lines.blocks(file.read, source)


def standing(path: Path) -> tuple[int, int, int]:
    """What changes when somebody writes to a file, or puts another in its place."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def check(
    path: Path,
    columns: TextColumns,
    answered: Collection[str],
    typed: bool,
    progress: Progress,
    source: str,
) -> CheckedSource:
    """Read all of a file. answered: the columns of the answer. typed: whether the types of its own
    are wanted.

    source: what messages call it. Raises DataError that names the first thing at fault: what is no
    row, a column that is not there, a file without a row that can be asked about.
    """
    progress.step(f"reading {source}")
    before = standing(path)
    sha256 = sha256_of(path)
    rows = count = faulty = 0
    names: dict[str, None] = {}
    first_fault = None
    schema = parquet.schema_of(path) if typed and _suffix(path) == ".parquet" else None
    infer = typed and schema is None
    for block in blocks_of(path, columns.needed, source):
        found = list(block.rows(columns.needed, source))
        for number, row in enumerate(found, rows + 1):
            if row.keys() != names.keys():
                names.update(dict.fromkeys(row))
            fault = columns.fault_in(row)
            if fault is not None:
                faulty += 1
                first_fault = first_fault or f"row {number}: {fault}"
        if infer:
            schema = parquet.inferred(found, schema, source)
        rows, count = rows + len(found), count + 1
        progress.step(f"reading {source}", rows)
    if not rows:
        raise DataError(f"{source}: no rows")
    find_columns(names, columns.needed, Path(source))
    if faulty == rows:
        wanted = "both texts" if columns.pairs else "a text"
        raise DataError(f"{source}: none of the {rows:,} rows has {wanted}; {first_fault}")
    refuse_changed(path, before, source)
    kept = kept_names(names, answered, source)
    return CheckedSource(rows, count, before[1], sha256, kept, schema)


def refuse_changed(path: Path, before: tuple[int, int, int], source: str) -> None:
    """Raises DataError if a file is not as it was. before: its `standing` then."""
    if standing(path) != before:
        raise DataError(f"{source}: was changed while it was read; give a file that stays as it is")


def _suffix(path: Path) -> str:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give one file")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        packed = "; unpack it" if suffix in PACKED else ""
        known = ", ".join(SUFFIXES)
        raise DataError(f"{path}: {suffix or 'no suffix'} is none of {known}{packed}")
    return suffix
