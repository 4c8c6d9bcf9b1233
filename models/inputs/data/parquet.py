"""Parquet: typed columns, of which whole numbers may have names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, NestlingError, missing_extra
from .decoding import find_columns

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = b"huggingface"
"""Where `datasets` writes what its columns are."""


def read(
    content: bytes, columns: Sequence[str], optional: Sequence[str], path: Path
) -> dict[str, list[object]]:
    """Values by column; those of a `ClassLabel` by their names. Optional columns may be missing.

    Raises DataError for what is not Parquet and for numbers that have no name.
    """
    try:
        import pyarrow as pa  # only who reads this format needs it
        from pyarrow import parquet
    except ModuleNotFoundError as missing:
        raise NestlingError(
            f"{path}: {missing_extra(str(missing.name), 'Parquet', 'train')}"
        ) from missing
    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        schema = file.schema_arrow
        there = find_columns(schema.names, columns, path, optional=optional)
        table = file.read(columns=there)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: is not Parquet that can be read: {reason}") from error
    names = _class_names(schema, path)
    values = {column: table[column].to_pylist() for column in there}
    return {
        column: _named(values[column], names[column], column, path)
        if column in names
        else values[column]
        for column in there
    }


def _class_names(schema: pa.Schema, path: Path) -> dict[str, list[str]]:
    """Names of the classes by column, as `datasets` writes them into the schema; of lists of them,
    too.
    """
    written = (schema.metadata or {}).get(METADATA)
    if written is None:
        return {}
    try:
        features: dict[str, Any] = json.loads(written)["info"]["features"]
        own = {column: _element(feature) for column, feature in features.items()}
        return {
            column: list(feature["names"])
            for column, feature in own.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: what {METADATA.decode()!r} in its schema says of the columns cannot be read: "
            f"{error!r}"
        ) from error


def _element(feature: Any) -> Any:
    """What a list is of, which `datasets` has written in several ways; else the feature itself."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    within = feature.get("feature") if isinstance(feature, dict) else None
    return feature if within is None else within


def _named(values: list[Any], names: list[str], column: str, path: Path) -> list[object]:
    def name_of(value: Any, row: int) -> object:
        if value is None:
            return None
        if isinstance(value, list):
            return [name_of(each, row) for each in value]
        if isinstance(value, int) and 0 <= value < len(names):
            return names[value]
        raise DataError(
            f"{path}: row {row}: {column} is {value!r}, for which none of the column's "
            f"{len(names)} ClassLabel names stands"
        )

    return [name_of(value, row) for row, value in enumerate(values, start=1)]
