"""Several labels a text: as files have them, and how a file says that it has them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from nestling.models import DataError
from nestling.models.errors import NestlingError
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import LabelColumns, read_labelled
from nestling.models.inputs.data.doubts import doubts_about_labels
from nestling.models.inputs.data.label_columns import AS_FILE
from nestling.models.nested.head_spec import HeadSpec

SEVERAL = LabelColumns(kind="multi_label")
LISTS = [["music", "alarm"], [], ["music"], ["alarm", "music", "alarm"]]
SETS = (("alarm", "music"), (), ("music",), ("alarm", "music"))
Row = dict[str, Any]


def write(path: Path, rows: list[Row]) -> Path:
    """Rows as a file of the path's form; in CSV lists are JSON."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(rows[0])
            for row in rows:
                table.writerow([v if isinstance(v, str) else json.dumps(v) for v in row.values()])
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_with(cells: list[Any], column: str = "labels") -> list[Row]:
    return [{"text": f"text {i}", column: cell} for i, cell in enumerate(cells)]


@pytest.mark.parametrize("form", [".jsonl", ".json", ".csv", ".parquet"])
def test_lists_in_every_form(tmp_path: Path, form: str) -> None:
    found = read_labelled(write(tmp_path / f"a{form}", rows_with(LISTS)), labels=SEVERAL)
    assert (found.kind, found.sets, found.named) == ("multi_label", SETS, SETS)
    assert found.labels == ('["alarm", "music"]', "[]", '["music"]', '["alarm", "music"]')
    assert found.names == {"alarm": 1, "music": 1}
    assert doubts_about_labels(found, tmp_path) == []


@pytest.mark.parametrize("form", [".jsonl", ".csv", ".parquet"])
def test_whole_numbers_and_lists_as_json_in_texts(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"numbers{form}", rows_with([[3, 1], [], [10]]))
    assert read_labelled(path, labels=SEVERAL).sets == (("1", "3"), (), ("10",))
    texts = write(tmp_path / f"texts{form}", rows_with(['["a, b", "c"]', " []", '["é\\n"]']))
    assert read_labelled(texts, labels=SEVERAL).sets == (("a, b", "c"), (), ("é\n",))


@pytest.mark.parametrize("feature", ["Sequence", "List", None])
def test_class_labels_in_lists_have_their_names(tmp_path: Path, feature: str | None) -> None:
    """As `datasets` writes them, in whichever version."""
    names = {"names": ["joy", "anger", "fear"], "_type": "ClassLabel"}
    own: Any = [names] if feature is None else {"feature": names, "_type": feature}
    about = json.dumps({"info": {"features": {"labels": own}}})
    table = pa.Table.from_pylist(rows_with([[2, 0], [], [1]]))
    path = tmp_path / "a.parquet"
    parquet.write_table(table.replace_schema_metadata({"huggingface": about}), path)
    assert read_labelled(path, labels=SEVERAL).sets == (("fear", "joy"), (), ("anger",))
    wrong = pa.Table.from_pylist(rows_with([[0], [0, 3]]))
    parquet.write_table(wrong.replace_schema_metadata({"huggingface": about}), path)
    with pytest.raises(DataError, match="row 2: labels is 3, for which none of the column's 3"):
        read_labelled(path, labels=SEVERAL)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("music", "labels is the text 'music'; expected a list of labels, which may be empty"),
        ("", "labels is missing; expected a list of labels, which may be empty"),
        (None, "labels is missing; expected a list"),
        (3, "labels is a whole number, 3; expected a list"),
        ({"music": 1}, 'labels is an object, {"music": 1}; expected a list'),
        ("[music]", "labels begins like a list, but is not JSON: "),
        ("[" * 100_000, "labels begins like a list, but is not JSON: "),
        ([""], "labels has a label that is empty"),
        ([" \u200b"], "labels has a label that is empty but for invisible characters"),
        ([None], "labels has a label that is empty"),
        ([["a"]], 'labels has a label that is a list, ["a"]; expected a text or a whole number'),
        ([1.5], "labels has a label that is a number, 1.5; expected a text or a whole number"),
        ([True], "labels has a label that is a truth value, true; expected a text or a whole num"),
        (["b", 3], "labels has a whole number, 3, but row 1 has a text; labels are all texts or"),
        ([3], "labels has a whole number, 3, but row 1 has a text; labels are all texts or all w"),
    ],
)
def test_what_is_refused(tmp_path: Path, cell: object, said: str) -> None:
    path = write(tmp_path / "a.jsonl", rows_with([["a"], [], cell]))
    with pytest.raises(DataError) as raised:
        read_labelled(path, labels=SEVERAL)
    assert str(raised.value).startswith(f"{path}: row 3: {said}")


@pytest.mark.parametrize("form", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize(
    ("row", "kind", "names"),
    [
        ({"label": "a"}, "single_label", ("a",)),
        ({"labels": ["a", "b"]}, "multi_label", ("a", "b")),
        ({"label": "a", "labels": ["b"]}, "single_label", ("a",)),
        ({"labels": ["b"], "label": "a"}, "single_label", ("a",)),
    ],
)
def test_a_file_says_whether_it_has_several(
    tmp_path: Path, form: str, row: Row, kind: str, names: tuple[str, ...]
) -> None:
    found = read_labelled(write(tmp_path / f"a{form}", [{"text": "x"} | row]), labels=AS_FILE)
    assert (found.kind, found.named) == (kind, (names,))


def test_lists_in_the_column_of_one_label_are_several(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows_with(LISTS, "label"))
    for columns in (AS_FILE, SEVERAL, LabelColumns("label", None)):
        assert read_labelled(path, labels=columns).sets == SETS
    both = write(tmp_path / "b.jsonl", [{"text": "x", "label": ["a"], "labels": ["b"]}])
    assert read_labelled(both, labels=SEVERAL).sets == (("b",),)
    assert read_labelled(both, labels=AS_FILE).sets == (("a",),)
    with pytest.raises(
        DataError, match=r'row 1: label is a list, \["music", "alarm"\]; expected a'
    ):
        read_labelled(path)


def test_a_column_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows_with(LISTS, "topics"))
    assert read_labelled(path, labels=LabelColumns("topics", None)).sets == SETS
    for columns in (AS_FILE, SEVERAL):
        with pytest.raises(DataError, match=r"has none of the columns labels?, labels?$"):
            read_labelled(path, labels=columns)
    with pytest.raises(DataError, match="no column 'label'; there are text, topics"):
        read_labelled(path)


def test_probabilities_are_of_one_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": "x", "labels": ["a"], "p": {"a": 1.0}}])
    with pytest.raises(DataError, match="p: probabilities are of one label a text"):
        read_labelled(path, labels=SEVERAL, probabilities_column="p")
    rows = [{"text": "x", "p": {"a": 1.0, "b": 0.0}}]
    only = write(tmp_path / "b.jsonl", rows)
    found = read_labelled(only, labels=AS_FILE, probabilities_column="p")
    assert (found.kind, found.labels) == ("single_label", ("a",))


def test_answers_have_a_bit_for_each_label(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows_with(LISTS))
    data = read_labelled(path, labels=SEVERAL)
    head = HeadSpec("label", "multi_label", ("money", "music", "alarm"))
    assert answers_in(data, head, path) == [0b110, 0, 0b010, 0b110]
    unknown = HeadSpec("label", "multi_label", ("money", "music", "alarms"))
    with pytest.raises(DataError, match=r"row 1: label 'alarm' is none .* did you mean 'alarms'"):
        answers_in(data, unknown, path)
    one = HeadSpec("label", "single_label", ("money", "music", "alarm"))
    with pytest.raises(NestlingError, match="is of multi_label, but head 'label' is single_label"):
        answers_in(data, one, path)
