"""Probabilities of labels: read as they are written, or refused with the row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from nestling.models import DataError
from nestling.models.inputs.data import LabelColumns, Labelled, read_labelled
from nestling.models.inputs.data.probabilities import probability_table

ROWS: list[dict[str, object]] = [
    {"text": "a", "label": "x", "p": {"x": 0.7, "y": 0.3}},
    {"text": "b", "p": {"x": 0.2, "y": 0.8}},
    {"text": "c", "label": "y"},
    {"text": "d", "label": None, "p": {"y": 0.5, "x": 0.5}},
    {"text": "e", "label": "x", "p": {"y": 0.994}},
]
LABELS = ("x", "y", "y", "x", "x")


def read(path: Path) -> Labelled:
    return read_labelled(path, probabilities_column="p")


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    """The same rows in the format that the suffix names; objects as JSON in CSV."""
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".json":
            path.write_text(json.dumps(rows))
        case ".csv":
            lines = ["text,label,p"]
            for row in rows:
                written = json.dumps(row["p"]) if "p" in row else ""
                quoted = '"' + written.replace('"', '""') + '"'
                lines.append(f"{row['text']},{row.get('label') or ''},{quoted}")
            path.write_text("\n".join(lines) + "\n")
        case _:
            parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_in_every_format(tmp_path: Path, suffix: str) -> None:
    data = read(write(tmp_path / f"data{suffix}", ROWS))
    assert data.labels == LABELS
    assert data.probabilities == tuple(row.get("p") for row in ROWS)
    assert data.names == {"x": 1, "y": 1}


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_no_column_of_labels(tmp_path: Path, suffix: str) -> None:
    rows: list[dict[str, object]] = [
        {"text": "a", "p": {"x": 0.7, "y": 0.3}},
        {"text": "b", "p": {"x": 0.1, "y": 0.9}},
    ]
    path = tmp_path / f"data{suffix}"
    write(path, rows)
    if suffix == ".csv":
        path.write_text(path.read_text().replace("text,label,p", "text,other,p"))
    assert read(path).labels == ("x", "y")
    with pytest.raises(DataError, match="no column 'label'"):
        read_labelled(path)


def test_whole_numbers_and_their_digits(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        [{"text": "a", "label": 1, "p": {"1": 1}}, {"text": "b", "p": {"0": 1}}],
    )
    assert read(path).labels == ("1", "0")


def test_the_table_has_labels_where_there_are_no_probabilities(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.jsonl", ROWS))
    table = probability_table(data.probabilities, data.labels, ("y", "z", "x"))
    expected = [[0.3, 0, 0.7], [0.8, 0, 0.2], [1, 0, 0], [0.5, 0, 0.5], [0.994, 0, 0]]
    np.testing.assert_allclose(table, expected, rtol=1e-6)
    assert table.dtype == np.float32


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"p": [0.5, 0.5]}, "p is a list, [0.5, 0.5]; expected an object {label: probability}"),
        ({"p": 0.5}, "p is a number, 0.5; expected an object {label: probability}"),
        ({"p": "[1]"}, "p is a list, [1]; expected an object"),
        ({"p": "x: 1"}, "p: column 1: is not JSON: Expecting value"),
        ({"p": {}}, "p: the sum is 0, not 1 within 0.01"),
        ({"p": {"x": 0.9, "y": 0.08}}, "p: the sum is 0.98, not 1 within 0.01"),
        ({"p": {"x": 0.9, "y": 0.12}}, "p: the sum is 1.02, not 1 within 0.01"),
        ({"p": {"x": 1.2, "y": -0.2}}, "p: 'x' is 1.2, which is not from 0 to 1"),
        ({"p": {"x": 1, "y": -0.0001}}, "p: 'y' is -0.0001, which is not from 0 to 1"),
        ({"p": {"x": float("nan")}}, "p: 'x' is nan, which is not from 0 to 1"),
        ({"p": {"x": float("inf")}}, "p: 'x' is inf, which is not from 0 to 1"),
        ({"p": {"x": True}}, "p: 'x' is a truth value, true; expected a number"),
        ({"p": {"x": "1"}}, "p: 'x' is the text '1'; expected a number"),
        ({"p": {" ": 1}}, "p: the name of a label is empty"),
        ({"p": '{"x": 0.5, "x": 0.5}'}, "p: 'x' is there twice"),
        ({}, "has neither label nor p"),
        ({"p": None, "label": None}, "has neither label nor p"),
        ({"p": {"x": 1}, "label": 3}, "label is a whole number, 3, but that of row 1 is a text"),
    ],
)
def test_what_is_refused(tmp_path: Path, row: dict[str, object], message: str) -> None:
    first: dict[str, object] = {"text": "a", "label": "x", "p": {"x": 0.99}}
    path = write(tmp_path / "a.jsonl", [first, {"text": "b"} | row])
    with pytest.raises(DataError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: row 2: {message}")


def test_columns_that_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(DataError, match="no column 'q'; there are text, label, p"):
        read_labelled(path, probabilities_column="q")
    with pytest.raises(DataError, match="label and probabilities are both read from the column"):
        read_labelled(path, labels=LabelColumns("p"), probabilities_column="p")
