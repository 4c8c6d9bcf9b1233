"""What the forms of `nestling classify` write, and read back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow.parquet import ParquetFile

from nestling.models.offline.formats import comma_separated, parquet
from nestling.models.offline.formats.comma_separated import CellBlock

CELLS = ["\r", "a\rb", "a\r\nb", "a\nb", "\r\n", 'say "hi"\r', '"', " led", "trailed \t", "", "a,b"]


def test_every_cell_of_csv_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    rows = [{"text": cell, "second\rname": f"{cell}x", "n": 7} for cell in CELLS]
    names = list(rows[0])
    body = comma_separated.encode(rows, names, {"label": [None] * len(rows)})
    path.write_bytes(comma_separated.head([*names, "label"]) + body)
    (block,) = comma_separated.blocks(path, ["text"])
    assert block.rows(["text"], str(path)) == [{**row, "n": "7", "label": ""} for row in rows]


@pytest.mark.parametrize(
    ("limit", "groups"),
    [
        ({}, [6]),
        ({"GROUP_ROWS": 3}, [3, 3]),
        ({"GROUP_BYTES": 2500}, [3, 3]),
        ({"GROUP_BYTES": 1}, [1] * 6),
    ],
)
def test_a_row_group_of_parquet_has_so_many_rows_and_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: dict[str, int], groups: list[int]
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(parquet, name, value)
    streams, path, told = tmp_path / "streams", tmp_path / "out.parquet", list[int]()
    own = pa.schema([("text", pa.string())])
    texts = [1000 * letter for letter in "abcdef"]
    with streams.open("wb") as file:
        for text in texts:
            block = CellBlock(["text"], [[text]])
            file.write(parquet.encode(block, block.rows(["text"], ""), own, own, {}))
    parquet.finish(streams, path, told.append)
    found = ParquetFile(path)
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == groups
    assert found.read()["text"].to_pylist() == texts
    assert told[-1] == 6
