"""Files in, files out: every form, in order, nothing lost or twice, and what has no answer."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from nestling.cli import app
from nestling.models import Cascade, Predictor, Stage, load_checkpoint
from nestling.models.checkpoint.save import write_calibration
from nestling.models.offline import output
from nestling.models.offline.answers import TextLimits
from nestling.models.offline.formats import comma_separated, json_lines
from nestling.models.offline.formats import parquet as parquet_format
from nestling.models.offline.run import OfflineRequest, classify_file
from nestling.models.offline.table import COLUMNS

from ..conftest import SENTENCES
from .conftest import Nestling, complaint, everything_in

WORDS = SENTENCES.split()
TEXTS = [" ".join(WORDS[i % 23 : i % 23 + 1 + i % 7]) for i in range(200)]
Row = dict[str, Any]
Classify = Callable[..., Result]


@pytest.fixture
def asked(checkpoint_dir: Path) -> Path:
    """A checkpoint whose first student is sure of about half of the texts."""
    checkpoint = load_checkpoint(checkpoint_dir)
    found = Predictor(checkpoint, "tiny").predict(TEXTS)
    confidences = sorted(decision.answer.confidence for decision in found)
    middle = (confidences[99] + confidences[100]) / 2
    stages = (Stage(checkpoint.students["tiny"], middle), Stage(checkpoint.ta, 0.0))
    write_calibration(checkpoint, {}, {"all": Cascade("all", stages)}, "all")
    return checkpoint_dir


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small file has many."""
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 500)
    monkeypatch.setattr(comma_separated, "BLOCK_ROWS", 9)
    monkeypatch.setattr(parquet_format, "BLOCK_ROWS", 9)


@pytest.fixture
def classify(nestling: Nestling, asked: Path) -> Classify:
    def run(*words: object) -> Result:
        return nestling("classify", asked, "--runner", "torch", "--processes", 1, *words)

    return run


def written(path: Path, rows: list[Row]) -> Path:
    """The rows as a file of the path's form."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(path: Path) -> list[Row]:
    """Of an output, as its form has them; of CSV all are texts."""
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text())))
    return [json.loads(line) for line in path.read_text().splitlines()]


def data() -> list[Row]:
    return [{"id": i, "text": text, "label": "its own"} for i, text in enumerate(TEXTS)]


@pytest.mark.parametrize("given", [".jsonl", ".json", ".csv", ".parquet"])
@pytest.mark.parametrize("wanted", [".jsonl", ".csv", ".parquet"])
def test_every_form_in_and_out(
    classify: Classify, asked: Path, tmp_path: Path, small_blocks: None, given: str, wanted: str
) -> None:
    path = written(tmp_path / f"in{given}", data())
    out = tmp_path / f"out{wanted}"
    result = classify("--input", path, "--output", out)
    assert result.exit_code == 0, result.output
    assert f"{out}: written: 200 rows" in result.stdout
    predictor = Predictor(load_checkpoint(asked))
    expected = predictor.predict(TEXTS)
    assert 50 < sum(len(decision.steps) == 2 for decision in expected) < 150
    rows = rows_of(out)
    assert list(rows[0]) == ["id", "text", "input_label", "label", *COLUMNS]
    for number, (row, decision) in enumerate(zip(rows, expected, strict=True)):
        assert (str(row["id"]), row["text"]) == (str(number), TEXTS[number])
        assert row["input_label"] == "its own"
        assert row["label"] == predictor.label(decision)
        assert float(row["score"]) == pytest.approx(decision.answer.confidence, abs=2e-6)
        assert (row["model"], row["student"]) == ("all", decision.answer.stage.student.name)
        assert int(row["tokens"]) == len(decision.tokens)
        assert int(row["flops"]) == round(decision.flops)
        assert float(row["relative_cost"]) == pytest.approx(decision.relative_cost, rel=1e-3)
        assert row["error"] in (None, "")
    assert {file.name for file in tmp_path.glob("out*")} == {out.name}


def test_standard_input_and_output(
    monkeypatch: pytest.MonkeyPatch, classify: Classify, asked: Path, tmp_path: Path
) -> None:
    path = written(tmp_path / "in.jsonl", data())
    out = tmp_path / "out.jsonl"
    assert classify("--input", path, "--output", out).exit_code == 0
    to_stdout = classify("--input", path)
    assert to_stdout.stdout_bytes == out.read_bytes()
    assert "answered by" in to_stdout.stderr

    words = ["classify", str(asked), "--runner", "torch", "--processes", "1"]
    spooled = tmp_path / "spooled.csv"
    result = CliRunner().invoke(app, [*words, "--output", str(spooled)], input=path.read_bytes())
    assert result.exit_code == 0, result.output
    assert [row["label"] for row in rows_of(spooled)] == [row["label"] for row in rows_of(out)]


@pytest.mark.parametrize("wanted", [".jsonl", ".csv", ".parquet"])
def test_whenever_it_is_killed_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, asked: Path, tmp_path: Path, small_blocks: None, wanted: str
) -> None:
    """What a kill leaves is what is on the disk then, whatever was not flushed."""
    path = written(tmp_path / "in.jsonl", data())
    request = OfflineRequest(asked, runner="torch", processes=1)
    whole = tmp_path / f"whole{wanted}"
    moments = tmp_path / "moments"

    def keep() -> None:
        others = shutil.ignore_patterns("moments", "checkpoint", "tokenizer.json")
        shutil.copytree(tmp_path, moments / f"{len(list(moments.glob('*')))}", ignore=others)

    moments.mkdir()
    added, flushed = output.PartialFile.add, output.PartialFile.flush
    adds = iter(range(10_000))

    def add(file: Any, block: Any) -> None:
        added(file, block)
        if next(adds) % 5 == 2:
            flushed(file)
        if next(adds) % 7 == 3:
            keep()

    monkeypatch.setattr(output.PartialFile, "add", add)
    classify_file(request, path, whole)
    monkeypatch.undo()
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 500)
    left = sorted(moments.glob("*"))
    assert len(left) >= 2
    resumed = 0
    for moment in left:
        with (moment / f"whole{wanted}.partial").open("ab") as file:
            file.write(b"half a row")  # what the state knows nothing of
        out = moment / f"whole{wanted}"
        result = classify_file(request, path, out)
        resumed += result.resumed
        assert result.tally.rows == len(TEXTS)
        assert rows_of(out) == rows_of(whole)
        assert {file.name for file in moment.iterdir()} == {"in.jsonl", f"whole{wanted}"}
    assert resumed > 0


def test_a_run_that_fails_keeps_what_it_has(
    monkeypatch: pytest.MonkeyPatch, classify: Classify, tmp_path: Path, small_blocks: None
) -> None:
    path = written(tmp_path / "in.jsonl", data())
    out = tmp_path / "out.jsonl"
    expected = tmp_path / "expected.jsonl"
    assert classify("--input", path, "--output", expected).exit_code == 0
    added, blocks = output.PartialFile.add, iter(range(100))

    def add(file: Any, block: Any) -> None:
        if next(blocks) == 11:
            raise KeyboardInterrupt
        added(file, block)

    monkeypatch.setattr(output.PartialFile, "add", add)
    assert classify("--input", path, "--output", out).exit_code == 130
    monkeypatch.setattr(output.PartialFile, "add", added)
    assert not out.exists()

    words = ("--input", path, "--output", out)
    for changed, said in (
        (("--model", "tiny"), "another model (all, now tiny)"),
        (("--min-confidence", 0.5), "another min_confidence (0.0, now 0.5)"),
        (("--text-column", "label"), "another text column (text, now label)"),
    ):
        assert said in complaint(classify(*words, *changed))
    path.write_text(path.read_text().replace("its own", "another"))
    assert "another input (" in complaint(classify(*words))
    path.write_text(path.read_text().replace("another", "its own"))

    result = classify(*words)
    assert result.exit_code == 0, result.output
    assert "of them before)" in result.stdout
    assert out.read_bytes() == expected.read_bytes()
    before = everything_in(tmp_path)
    assert "exists already" in complaint(classify(*words))
    assert everything_in(tmp_path) == before


def test_only_one_writes_a_file(classify: Classify, tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", data())
    out = tmp_path / "out.jsonl"
    with output.PartialFile(out, {}, b""):
        assert "is being written by another process" in complaint(
            classify("--input", path, "--output", out)
        )


def test_rows_that_cannot_be_answered_say_why(classify: Classify, tmp_path: Path) -> None:
    long = " ".join(["play"] * 50)
    rows = [{"text": TEXTS[0]}, {}, {"text": None}, {"text": 7}, {"text": " "}, {"text": long},
            {"text": "\u200b"}, {"text": "play" * 9999}, {"text": "\x00\x01"}]  # fmt: skip
    path = written(tmp_path / "in.jsonl", rows)
    out = tmp_path / "out.jsonl"
    result = classify("--input", path, "--output", out)
    assert result.exit_code == 1
    said = [row["error"] for row in rows_of(out)]
    assert said == [
        None,
        "text is missing",
        "text is empty",
        "text is a whole number, 7; expected a text",
        "text is empty",
        "text has 52 tokens; the limit is 40",
        "text is empty but for invisible characters, '\\u200b'",
        "text has 39,996 characters; the limit is 5,120",
        "text is empty but for invisible characters, '\\x00\\x01'",
    ]
    assert [row["label"] is None for row in rows_of(out)] == [False] + [True] * 8
    assert "8 of 9 rows have no answer: row 2: text is missing; row 3: " in result.stdout
    assert "and 3 more" in result.stdout
    cut = tmp_path / "cut.jsonl"
    assert classify("--input", path, "--output", cut, "--truncate").exit_code == 1
    assert [row["error"] for row in rows_of(cut)][5] is None
    assert rows_of(cut)[5]["tokens"] == 40


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.jsonl", '{"text": "a"}\n{"text": ', "in.jsonl: line 2: column 10: is not JSON"),
        ("in.jsonl", '{"text": "a"}\n\n[1]\n', "in.jsonl: line 3: is no object"),
        ("in.jsonl", '{"text": "a", "text": "b"}\n', "line 1: 'text' is there twice"),
        ("in.jsonl", '{"txt": "a"}\n', "no column 'text'; there are txt"),
        ("in.jsonl", '{"text": 1}\n{"text": 2}\n', "none of the 2 rows has a text; row 1: text is"),
        ("in.jsonl", '{"text": "a", "label": 1, "input_label": 2}', "kept as 'input_label'"),
        ("in.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "line 2: is not UTF-8 (byte 0xff)"),
        ("in.jsonl", "\ufeff\n", "no rows"),
        ("in.jsonl", "", "no rows"),
        ("in.csv", "text,b\na\n", "row 1, which ends at line 2: has 1 cells"),
        ("in.csv", "text\n\"a\n", "the file ends within a quoted cell"),
        ("in.csv", "txt\na\n", "no column 'text'; there are txt"),
        ("in.csv", b"text\na\n\xff\n", "line 3: is not UTF-8 (byte 0xff)"),
        ("in.parquet", "PAR1", "is not Parquet that can be read"),
        ("in.txt", "a", ".txt is none of .jsonl, .json, .csv, .parquet"),
        ("in.jsonl.gz", "a", ".gz is none of .jsonl, .json, .csv, .parquet; unpack it"),
        ("in.json", '[{"text": "a"}, 1]', "in.json: row 2: is no object"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_before_any_work(
    classify: Classify, tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    before = everything_in(tmp_path)
    found = complaint(classify("--input", path, "--output", tmp_path / "out.jsonl"))
    assert said in found
    assert str(path) in found
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "larg"], "model: 'larg' is none of auto, all, tiny, small, ta"),
        (["--max-cost", "0"], "--max-cost: 0"),
        (["--output", "out.xlsx"], "--output: out.xlsx: .xlsx is none of .jsonl, .csv, .parquet"),
        (["--output", "no/out.csv"], "--output: no/out.csv: there is no folder"),
        (["--processes", "0"], "--processes: 0 is below 1"),
    ],
)
def test_what_cannot_be_asked_is_said(
    classify: Classify, tmp_path: Path, words: list[str], said: str
) -> None:
    path = written(tmp_path / "in.jsonl", data())
    assert said in complaint(classify("--input", path, *words))


def test_columns_of_two_types_stay_apart(classify: Classify, tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", [{"text": "play", "id": 1}, {"text": "play", "id": "b"}])
    found = complaint(classify("--input", path, "--output", tmp_path / "out.parquet"))
    assert "column 'id' has values of several types" in found


def test_values_come_out_as_they_went_in(classify: Classify, tmp_path: Path) -> None:
    own = {"text": "play \u2028 music", "big": 10**40, "nested": {"a": [1, None]}, "half": 0.1}
    path = written(tmp_path / "in.jsonl", [own, {"text": "play"}])
    out = tmp_path / "out.jsonl"
    assert classify("--input", path, "--output", out).exit_code == 0
    first, second = rows_of(out)
    assert {name: first[name] for name in own} == own
    assert list(second) == ["text", "label", *COLUMNS]


def test_classes_keep_their_names(classify: Classify, tmp_path: Path) -> None:
    """As `datasets` writes them into a schema, which then speaks of the new columns as well."""
    feature = {"names": ["no", "yes"], "_type": "ClassLabel"}
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": feature}
    about = {"info": {"features": features}}
    table = pa.table({"text": ["play"], "label": [1]})
    table = table.replace_schema_metadata({b"huggingface": json.dumps(about).encode()})
    parquet.write_table(table, tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    assert classify("--input", tmp_path / "in.parquet", "--output", out).exit_code == 0
    schema = parquet.read_schema(out)
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["input_label"] == feature
    assert features["score"] == {"dtype": "float64", "_type": "Value"}
    assert list(features) == schema.names


@pytest.mark.parametrize(
    "limits", [TextLimits(0.5), TextLimits(0.99), TextLimits(0.0, 0.5), TextLimits(0.9, 1.05)]
)
def test_limits_are_those_of_a_request(asked: Path, tmp_path: Path, limits: TextLimits) -> None:
    path, out = written(tmp_path / "in.jsonl", data()), tmp_path / "out.jsonl"
    classify_file(OfflineRequest(asked, limits=limits, runner="torch", processes=1), path, out)
    found = {row["limited_by"] for row in rows_of(out)}
    assert found - {None} == ({"max_cost"} if limits.max_cost == 0.5 else {"min_confidence"})


def test_a_text_may_cost_too_much(asked: Path, tmp_path: Path) -> None:
    path, out = written(tmp_path / "in.jsonl", data()), tmp_path / "out.jsonl"
    request = OfflineRequest(asked, limits=TextLimits(max_cost=1e-6), runner="torch", processes=1)
    result = classify_file(request, path, out)
    assert result.tally.answered == 0
    assert rows_of(out)[0]["error"].startswith(
        "max_cost: 1e-06 of the TA's cost; 'tiny', the first"
    )
