"""Files of pairs, of which a checkpoint is asked that reads two texts together."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from nestling.models import Predictor, load_checkpoint
from nestling.models.offline import output
from nestling.models.offline.run import OfflineRequest, classify_stream

from .conftest import Nestling, complaint
from .test_classify import TEXTS, Row, rows_of, written

PAIRS = list(zip(TEXTS[:30], TEXTS[40:70], strict=True))
LONG = " ".join(["play"] * 50)
Classify = Callable[..., Result]


@pytest.fixture
def classify(nestling: Nestling, pair_checkpoint_dir: Path) -> Classify:
    def run(*words: object) -> Result:
        own = ("--runner", "torch", "--processes", 1, "--model", "small")
        return nestling("classify", pair_checkpoint_dir, *own, *words)

    return run


def data(first: str = "text", second: str = "text_pair") -> list[Row]:
    return [{"id": i, first: one, second: two} for i, (one, two) in enumerate(PAIRS)]


@pytest.mark.parametrize("form", [".jsonl", ".json", ".csv", ".parquet"])
def test_every_form_of_pairs(
    classify: Classify, pair_checkpoint_dir: Path, tmp_path: Path, form: str
) -> None:
    path = written(tmp_path / f"in{form}", data())
    out = tmp_path / f"out{'.jsonl' if form == '.json' else form}"
    result = classify("--input", path, "--output", out)
    assert result.exit_code == 0, result.output
    predictor = Predictor(load_checkpoint(pair_checkpoint_dir), "small")
    for row, decision, pair in zip(rows_of(out), predictor.predict(PAIRS), PAIRS, strict=True):
        assert (row["text"], row["text_pair"]) == pair
        assert row["label"] == predictor.label(decision)
        assert float(row["score"]) == pytest.approx(decision.answer.confidence, abs=2e-6)
        assert int(row["tokens"]) == len(decision.tokens)


def test_columns_of_other_names(classify: Classify, tmp_path: Path) -> None:
    path, out = written(tmp_path / "in.jsonl", data()), tmp_path / "out.jsonl"
    assert classify("--input", path, "--output", out).exit_code == 0
    other, named = written(tmp_path / "other.csv", data("premise", "then")), tmp_path / "o.jsonl"
    names = ("--text-column", "premise", "--text-pair-column", "then")
    assert classify("--input", other, "--output", named, *names).exit_code == 0
    assert [row["score"] for row in rows_of(named)] == [row["score"] for row in rows_of(out)]


def test_rows_without_a_pair_say_why(
    pair_checkpoint_dir: Path, classify: Classify, tmp_path: Path
) -> None:
    rows: list[Row] = [
        {"text": "play", "text_pair": "music"},
        {"text": "play"},
        {"text_pair": "music"},
        {"text": "play", "text_pair": " "},
        {"text": ["play"], "text_pair": "music"},
        {"text": "play " * 20, "text_pair": "music " * 20},
        {"text": "play", "text_pair": "music" * 1999},
        {"text": LONG, "text_pair": "set an alarm"},
    ]
    path, out = written(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    result = classify("--input", path, "--output", out)
    assert result.exit_code == 1
    said = [
        None,
        "text_pair is missing",
        "text is missing",
        "text_pair is empty",
        'text is a list, ["play"]; expected a text',
        "text and text_pair together have 43 tokens; the limit is 40",
        "text_pair has 9,995 characters; the limit is 5,120",
        "text and text_pair together have 56 tokens; the limit is 40",
    ]
    assert [row["error"] for row in rows_of(out)] == said
    cut = tmp_path / "cut.jsonl"
    assert classify("--input", path, "--output", cut, "--truncate").exit_code == 1
    assert [row["error"] for row in rows_of(cut)] == [*said[:5], None, None, None]
    assert [row["tokens"] for row in rows_of(cut)] == [5, None, None, None, None, 40, 5, 40]
    request = OfflineRequest(pair_checkpoint_dir, "small", runner="torch", processes=1)
    streamed = io.BytesIO()
    with path.open("rb") as file:
        classify_stream(request, file.fileno(), streamed)
    assert streamed.getvalue() == out.read_bytes()


def test_characters_are_limited_in_each_text(classify: Classify, tmp_path: Path) -> None:
    blanks = " " * 5000
    rows = [{"text": f"play{blanks}music", "text_pair": f"set{blanks}alarm"}]
    path, out = written(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    assert classify("--input", path, "--output", out).exit_code == 0
    assert rows_of(out)[0]["tokens"] == 7


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        ([{"text": "play"}], [], "no column 'text_pair'; there are text"),
        ([{"text_pair": "play"}], [], "no column 'text'; there are text_pair"),
        (
            [{"text": "play", "text_pair": ""}] * 2,
            [],
            "none of the 2 rows has both texts; row 1: text_pair is empty",
        ),
        (
            [{"text": "play", "text_pair": "music"}],
            ["--text-pair-column", "text"],
            "text and text_pair are both read from the column 'text'",
        ),
    ],
)
@pytest.mark.parametrize("form", [".jsonl", ".csv", ".parquet"])
def test_files_without_pairs_are_refused(
    classify: Classify, tmp_path: Path, form: str, rows: list[Row], words: list[str], said: str
) -> None:
    path = written(tmp_path / f"in{form}", rows)
    assert said in complaint(classify("--input", path, *words))


def test_a_second_column_is_not_looked_at_where_one_text_is_asked_about(
    nestling: Nestling, checkpoint_dir: Path, tmp_path: Path
) -> None:
    rows = [{"text": "play", "text_pair": None, "id": 1}, {"text": "play"}]
    path, out = written(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    own = ("--runner", "torch", "--processes", 1, "--text-pair-column", "text")
    result = nestling("classify", checkpoint_dir, *own, "--input", path, "--output", out)
    assert result.exit_code == 0, result.output
    assert rows_of(out)[0]["score"] == rows_of(out)[1]["score"]


def test_a_run_with_another_second_column_does_not_go_on(
    monkeypatch: pytest.MonkeyPatch, classify: Classify, tmp_path: Path
) -> None:
    rows = [{**row, "then": row["text"]} for row in data()]
    path, out = written(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(output.PartialFile, "add", interrupted)
        assert classify("--input", path, "--output", out).exit_code == 130
    found = complaint(classify("--input", path, "--output", out, "--text-pair-column", "then"))
    assert "another text_pair column (text_pair, now then)" in found
