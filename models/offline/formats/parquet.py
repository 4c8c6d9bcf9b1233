"""Parquet: typed columns.

While rows are answered they are kept as Arrow streams, one after another: a Parquet file that ends
early cannot be read, nor gone on with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, NestlingError, missing_extra
from ...inputs.data.decoding import find_columns
from ...inputs.data.parquet import METADATA
from .rows import Row, RowBlock

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 2048
GROUP_ROWS, GROUP_BYTES = 65_536, 2**28
"""Of a row group in what is written: all of it is held in memory until then."""


@dataclass(frozen=True)
class BatchBlock(RowBlock):
    """batch: `pyarrow.RecordBatch`."""

    batch: pa.RecordBatch

    def rows(self, columns: Sequence[str], source: str) -> list[Row]:
        return list(self.batch.to_pylist())


def require(path: Path) -> None:
    """Raises NestlingError unless the library is installed."""
    try:
        import pyarrow.parquet  # noqa: F401  # only who reads or writes this format needs it
    except ModuleNotFoundError as missing:
        raise NestlingError(
            f"{path}: {missing_extra(str(missing.name), 'Parquet', 'train')}"
        ) from missing


def schema_of(path: Path) -> pa.Schema:
    """Of a file. Raises DataError for what is none."""
    from pyarrow import parquet

    return _reading(path, lambda: parquet.ParquetFile(path).schema_arrow)


def blocks(path: Path, columns: Sequence[str]) -> Iterator[BatchBlock]:
    """Always the same of the same file. Raises DataError for what is no such file."""
    from pyarrow import parquet

    file = _reading(path, lambda: parquet.ParquetFile(path))
    find_columns(
        file.schema_arrow.names, list(dict.fromkeys((*columns, *file.schema_arrow.names))), path
    )
    batches = file.iter_batches(BLOCK_ROWS)
    while (batch := _reading(path, lambda: next(batches, None))) is not None:
        yield BatchBlock(batch)


def _reading(path: Path, read: Callable[[], Any]) -> Any:
    import pyarrow as pa

    try:
        return read()
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: is not Parquet that can be read: {reason}") from error


def inferred(rows: Sequence[Row], known: pa.Schema | None, source: str) -> pa.Schema:
    """The types of these rows' columns, and of those before.

    Raises DataError that names a column which has values of several types.
    """
    import pyarrow as pa

    fields = []
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            fields.append(pa.field(name, pa.array([row.get(name) for row in rows]).type))
        except (pa.ArrowException, OverflowError) as error:
            raise DataError(_mixed(source, name, error)) from error
    own = pa.schema(fields)
    if known is None:
        return own
    try:
        return pa.unify_schemas([known, own], promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(_mixed(source, None, error)) from error


def _mixed(source: str, column: str | None, error: Exception) -> str:
    of = "a column" if column is None else f"column {column!r}"
    reason = " ".join(str(error).split())
    return f"{source}: {of} has values of several types, and Parquet has one per column: {reason}"


def extended(own: pa.Schema, kept: Mapping[str, str], answers: Mapping[str, type]) -> pa.Schema:
    """The columns of the input, as the output calls them, and the answer's."""
    import pyarrow as pa

    types = {
        str: pa.string(), float: pa.float64(), int: pa.int64(), list: pa.list_(pa.string()),
    }  # fmt: skip
    fields = [field.with_name(kept.get(field.name, field.name)) for field in own]
    added = [pa.field(name, types[kind]) for name, kind in answers.items()]
    return pa.schema([*fields, *added], _metadata(own, kept, added))


def _metadata(own: pa.Schema, kept: Mapping[str, str], added: Sequence[Any]) -> Any:
    """What `datasets` says of the columns, such as the names of classes, and of the new ones."""
    written = dict(own.metadata or {})
    if METADATA not in written:
        return written
    about = json.loads(written[METADATA])
    features = about.get("info", {}).get("features", {})
    renamed = {kept.get(name, name): feature for name, feature in features.items()}
    import pyarrow as pa

    dtypes = {"double": "float64"}
    for field in added:
        several = pa.types.is_list(field.type)
        held = str(field.type.value_type if several else field.type)
        feature = {"dtype": dtypes.get(held, held), "_type": "Value"}
        renamed[field.name] = {"feature": feature, "_type": "Sequence"} if several else feature
    about["info"]["features"] = renamed
    return {**written, METADATA: json.dumps(about).encode()}


def encode(
    block: RowBlock,
    rows: Sequence[Row],
    own: pa.Schema,
    schema: pa.Schema,
    table: dict[str, list[Any]],
) -> bytes:
    """The rows as one Arrow stream. own: of the input's columns. schema: of the output's."""
    import pyarrow as pa

    if isinstance(block, BatchBlock):
        columns = list(block.batch.columns)
    else:
        columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in own]
    columns += [pa.array(values, schema.field(name).type) for name, values in table.items()]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def finish(streams: Path, path: Path, told: Callable[[int], None]) -> None:
    """Write what the streams hold as one Parquet file. told: how many rows are written."""
    import pyarrow as pa
    from pyarrow import parquet

    writer, waiting, rows, held = None, [], 0, 0
    with pa.OSFile(str(streams)) as file:
        while file.tell() < file.size():
            with pa.ipc.open_stream(file) as stream:
                batches = list(stream)
            waiting += batches
            held += sum(batch.nbytes for batch in batches)
            if writer is None:
                writer = parquet.ParquetWriter(path, waiting[0].schema)
            full = held >= GROUP_BYTES or sum(map(len, waiting)) >= GROUP_ROWS
            if full or file.tell() >= file.size():
                group = pa.Table.from_batches(waiting)
                writer.write_table(group, GROUP_ROWS)
                rows, waiting, held = rows + len(group), [], 0
                told(rows)
    if writer is not None:
        writer.close()
