"""What the forms of `nestling classify` write, and read back."""

from __future__ import annotations

from pathlib import Path

from nestling.models.offline.formats import comma_separated

CELLS = ["\r", "a\rb", "a\r\nb", "a\nb", "\r\n", 'say "hi"\r', '"', " led", "trailed \t", "", "a,b"]


def test_every_cell_of_csv_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    rows = [{"text": cell, "second\rname": f"{cell}x", "n": 7} for cell in CELLS]
    names = list(rows[0])
    body = comma_separated.encode(rows, names, {"label": [None] * len(rows)})
    path.write_bytes(comma_separated.head([*names, "label"]) + body)
    (block,) = comma_separated.blocks(path, "text")
    assert block.rows("text", str(path)) == [{**row, "n": "7", "label": ""} for row in rows]
