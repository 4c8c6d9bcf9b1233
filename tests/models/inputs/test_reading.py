"""Cells are the texts that people wrote, in every format; whatever is no text is refused."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from nestling.models import DataError
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import LabelColumns, read_labelled, read_texts
from nestling.models.nested.head_spec import HeadSpec

ROWS = [
    ("null", "01"),
    ("NA", "NA"),
    ("nan", "1e3"),
    ("None", "true"),
    (" blanks kept ", "money "),
    ('he said "hi", twice', "1_000"),
    ("two\nlines", "2026-01-01"),
    ("crlf\r\nwithin", "-0"),
    ("\N{SNOWMAN} \u2028 \N{GRINNING FACE}", "été"),
    ("=1+1", "007"),
]
TEXTS, NAMES = (tuple(column) for column in zip(*ROWS, strict=True))


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def write(path: Path, rows: list[tuple[str, str]], end: str = "\n") -> Path:
    """The same rows in the format that the suffix names."""
    objects = [{"id": 3.5, "text": text, "label": label} for text, label in rows]
    match path.suffix:
        case ".jsonl":
            content = end.join(json.dumps(each, ensure_ascii=False) for each in objects) + end
        case ".json":
            content = json.dumps(objects, indent=1)
        case ".csv":
            lines = [f"{quoted(text)},,{quoted(label)}" for text, label in rows]
            content = end.join(["text,,label", *lines]) + end
        case _:
            parquet.write_table(pa.Table.from_pylist(objects), path)
            return path
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet", ".CSV"])
def test_what_people_wrote_is_read(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"data{suffix.lower()}", ROWS).rename(tmp_path / f"data{suffix}")
    data = read_labelled(path)
    assert data.texts == TEXTS
    assert data.labels == NAMES
    assert read_texts(path) == TEXTS


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_a_byte_order_mark_and_ends_of_lines(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"data{suffix}", ROWS, end="\r\n")
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes() + b"\r\n")
    data = read_labelled(path)
    assert (data.texts, data.labels) == (TEXTS, NAMES)


def test_a_cell_may_be_longer_than_csv_has_it(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", [("a" * 200_000, "b")])
    assert len(read_labelled(path).texts[0]) == 200_000


def test_whole_numbers_are_labels_by_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "label": 0}\n{"text": "b", "label": 12345678901234567890123}\n')
    assert read_labelled(path).labels == ("0", "12345678901234567890123")
    path = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"text": ["a", "b"], "label": [0, 7]}), path)
    assert read_labelled(path).labels == ("0", "7")


def classified(path: Path, labels: Sequence[int | None], feature: object) -> Path:
    """As `datasets` writes it: whole numbers, and their names in the schema."""
    table = pa.table({"text": [f"text {i}" for i in range(len(labels))], "label": labels})
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": feature}
    written = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(written), path)
    return path


def test_class_labels_are_read_by_their_names(tmp_path: Path) -> None:
    names = {"names": ["neg", "pos"], "_type": "ClassLabel"}
    assert read_labelled(classified(tmp_path / "a.parquet", [1, 0, 1], names)).labels == (
        "pos",
        "neg",
        "pos",
    )
    for wrong, message in (
        ([1, -1], "row 2: label is -1, for which none of the column's 2 ClassLabel names stands"),
        ([0, 1, 2], "row 3: label is 2, for which none"),
        ([0, None], "row 2: label is empty"),
    ):
        with pytest.raises(DataError, match=message):
            read_labelled(classified(tmp_path / "a.parquet", wrong, names))
    with pytest.raises(DataError, match="says of the columns cannot be read"):
        read_labelled(classified(tmp_path / "a.parquet", [1], {"_type": "ClassLabel"}))


def test_categories_are_read_by_their_names(tmp_path: Path) -> None:
    labels = pa.array(["b", "a", "b"]).dictionary_encode()
    parquet.write_table(
        pa.table({"text": ["x", "y", "z"], "label": labels}), tmp_path / "a.parquet"
    )
    assert read_labelled(tmp_path / "a.parquet").labels == ("b", "a", "b")


LINE = '{"text": "a", "label": "b"}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", LINE * 2 + '{"text": "a", "label": ["b"]}',
         'row 3: label is a list, ["b"]; expected a text or a whole number'),
        ("a.jsonl", '{"text": {"a": 1}, "label": "b"}',
         'row 1: text is an object, {"a": 1}; expected a text'),
        ("a.jsonl", '{"text": 3, "label": "b"}', "row 1: text is a whole number, 3; expected a t"),
        ("a.jsonl", '{"text": "a", "label": 1.0}', "row 1: label is a number, 1.0; expected"),
        ("a.jsonl", '{"text": "a", "label": NaN}', "row 1: label is a number, NaN; expected"),
        ("a.jsonl", '{"text": "a", "label": true}', "row 1: label is a truth value, true; exp"),
        ("a.jsonl", LINE + '{"text": "a", "label": 1}',
         "row 2: label is a whole number, 1, but that of row 1 is a text; labels are all texts or"),
        ("a.jsonl", '{"text": "a", "label": 1}\n' + LINE,
         "row 2: label is the text 'b', but that of row 1 is a whole number"),
        ("a.jsonl", LINE + '{"text": null, "label": "b"}', "row 2: text is empty"),
        ("a.jsonl", LINE + '{"text": "a"}', "row 2: label is missing"),
        ("a.jsonl", '{"text": "a", "intent": "b"}', "no column 'label'; there are text, intent"),
        ("a.jsonl", '{"text": "a", "label": "b", "label": "c"}', "row 1: 'label' is there twice"),
        ("a.jsonl", '{"text": "\\ud800", "label": "b"}', "row 1: text is empty but for invisible"),
        ("a.jsonl", '{"text": "a\\ud800", "label": "b"}', "row 1: text has half a character, 'a"),
        ("a.jsonl", '{"text": "\\u200b", "label": "b"}', "row 1: text is empty but for invisible"),
        ("a.jsonl", LINE + "\n" + "{", "line 3: column 2: is not JSON: Expecting property name"),
        ("a.jsonl", "[" * 100_000, "line 1: is nested too deeply"),
        ("a.jsonl", '{"text": "a", "label": ' + "9" * 5000 + "}", "line 1: Exceeds the limit"),
        ("a.jsonl", '["a", "b"]', 'row 1: is no object; expected {"text": …, "label": …}'),
        ("a.jsonl", "\n \n", "no rows"),
        ("a.json", "[]", "no rows"),
        ("a.json", '[{"text": "a", "label": "b"},\n 3]', "row 2: is no object"),
        ("a.json", '[{"text": "a",\n "label": }]', "line 2, column 11: is not JSON: Expecting val"),
        ("a.json", '{"text": {\n', "line 1: column 11: is not JSON"),
        ("a.jsonl", LINE.encode() + b'{"text": "caf\xe9", "label": "b"}',
         "line 2: is not UTF-8 (byte 0xe9)"),
        ("a.csv", b"text,label\r\ncaf\xe9,a\r\n", "line 2: is not UTF-8 (byte 0xe9)"),
        ("a.csv", "text,label\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.csv", "text,label\na,b\nc,d,e\n",
         "row 2, which ends at line 3: has 3 cells, but the first line names 2 columns"),
        ("a.csv", 'text,label\n"a\nb",c\nd\n', "row 2, which ends at line 4: has 1 cells"),
        ("a.csv", "text,label,label\na,b,c\n", "the column 'label' is there 2 times"),
        ("a.csv", "text;label\na;b\n", "no column 'text'; there are text;label; cells are separ"),
        ("a.csv", "text, label\na,b\n", "no column 'label'; there are text, ' label'"),
        ("a.csv", "how are you,greeting\n", "no column 'text'; there are how are you, greeting"),
        ("a.csv", 'text,label\n"a,b\n', "line 2: the file ends within a quoted cell"),
        ("a.csv", 'text,label\n"a"b,c\n', "line 2: is not CSV: ',' expected after '\"'"),
        ("a.csv", 'text,label\na,""\n', "row 1: label is empty"),
        ("a.csv", "text,label\n", "no rows"),
        ("a.csv", "", "no rows: the file is empty"),
        ("a.jsonl", "", "no rows: the file is empty"),
        ("a.parquet", "", "no rows: the file is empty"),
        ("a.parquet", "text,label\na,b\n", "is not Parquet that can be read: "),
        ("a.jsonl.gz", "x", ".gz is none of .jsonl, .json, .csv, .parquet; unpack it"),
        ("a", "x", "no suffix is none of .jsonl, .json, .csv, .parquet"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as raised:
        read_labelled(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pa.array([0.5]), "row 1: label is a number, 0.5; expected a text or a whole number"),
        (pa.array([True]), "row 1: label is a truth value, true"),
        (pa.array([["a"]]), 'row 1: label is a list, ["a"]'),
        (pa.array([{"a": 1}]), 'row 1: label is an object, {"a": 1}'),
        (pa.array([b"a"]), "row 1: label is of type bytes"),
        (pa.array([1], pa.timestamp("s")), 'row 1: label is of type datetime, "1970-01-01'),
        (pa.nulls(1), "row 1: label is empty"),
    ],
)
def test_typed_columns_that_are_no_texts(tmp_path: Path, labels: pa.Array, message: str) -> None:
    parquet.write_table(pa.table({"text": ["a"], "label": labels}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as raised:
        read_labelled(tmp_path / "a.parquet")
    assert str(raised.value).startswith(f"{tmp_path / 'a.parquet'}: {message}")


def test_what_is_not_read_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "a", "label": "b", "x": NaN, "x": [1]}\n{"label": "c", "text": "d"}\n'
    )
    assert read_labelled(path).labels == ("b", "c")
    path = tmp_path / "a.csv"
    path.write_text(",text,x,x,label\n0,a,,,b\n")
    assert read_labelled(path).labels == ("b",)


def test_no_file(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path, "is a folder; data are one file"),
        (tmp_path / "none.csv", "no such file"),
    ):
        with pytest.raises(DataError, match=message):
            read_labelled(path)
    with pytest.raises(DataError, match="text and label are both read from the column 'text'"):
        read_labelled(write(tmp_path / "a.csv", ROWS), labels=LabelColumns("text"))


def test_an_unknown_label_is_told_what_is_near(tmp_path: Path) -> None:
    data = read_labelled(write(tmp_path / "a.csv", [("a", "Money")]))
    with pytest.raises(DataError, match=r"row 1: label 'Money' is none of the 2 known labels, "
                       r"alarm, 'money '; did you mean 'money '\?"):  # fmt: skip
        answers_in(data, HeadSpec("label", "single_label", ("alarm", "money ")), "a.csv")
    many = HeadSpec("label", "single_label", tuple(str(i) for i in range(200)))
    with pytest.raises(DataError, match=r"known labels, 0, 1, .*, 11 and 188 more$"):
        answers_in(data, many, "a.csv")
