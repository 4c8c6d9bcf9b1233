"""What is read of a log: texts once, the last label, and how much says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestling.models.calibration.records import AskedStudent, ShadowRecord, previous
from nestling.models.errors import DataError
from nestling.models.inputs.data import TextColumns
from nestling.models.training.further.traffic import begins_with, read_traffic, told

from .conftest import write_lines

KNOWN = ("alarm", "7")
RECORD = ShadowRecord(
    "t", "w", "all", "v", "float32", 3, (AskedStudent("ta", 1.0, 1, 0.5),), "ta", 1, "wake me"
)


def test_a_log_of_the_server_is_traffic(tmp_path: Path) -> None:
    path = tmp_path / "shadow.jsonl"
    previous(path).write_bytes(RECORD.to_json())
    path.write_bytes(b'{"text": "play", "label": 7}\n{"time": "t"}\n{"text": "half a li')
    found = read_traffic(path, KNOWN)
    assert found.texts == ("wake me", "play")
    assert found.labels == (None, 1)
    assert told(found, path) == (
        f"{path}: 2 different texts, 1 with a label; 1 lines damaged; 1 lines without a text"
    )


def test_of_a_text_that_comes_again_the_last_label_counts(tmp_path: Path) -> None:
    rows = [
        {"text": "wake me", "label": "7"},
        {"text": "Wake  me", "label": "alarm"},
        {"text": "wake me", "label": None},
    ]
    found = read_traffic(write_lines(tmp_path / "log.jsonl", rows), KNOWN)
    assert found.texts == ("wake me",)
    assert found.labels == (0,)
    assert found.left_out == {"that repeat a text": 2}


def test_columns_may_have_other_names_than_those_of_a_log(tmp_path: Path) -> None:
    rows = [
        {"utterance": "wake me", "intent": "alarm", "text": "an id", "label": "7"},
        {"text": "play", "label": "7"},
    ]
    path = write_lines(tmp_path / "log.jsonl", rows)
    found = read_traffic(path, KNOWN, TextColumns("utterance"), "intent")
    assert (found.texts, found.labels) == (("wake me", "play"), (0, 1))
    rows[0]["intent"] = "alram"
    with pytest.raises(DataError, match="line 1: intent 'alram' is none"):
        read_traffic(write_lines(path, rows), KNOWN, TextColumns("utterance"), "intent")


def test_a_log_that_grows_is_read_as_far_as_before(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    previous(path).write_bytes(b'{"text": "wake me"}\n')
    path.write_bytes(b'{"text": "play"}\n{"text": "half a li')
    first = read_traffic(path, KNOWN)
    with path.open("ab") as log:
        log.write(b'ne"}\n{"text": "stop"}\n')
    assert read_traffic(path, KNOWN).texts == ("wake me", "play", "half a line", "stop")
    assert read_traffic(path, KNOWN, size=first.size) == first
    assert begins_with(path, first.size, first.sha256)
    assert not begins_with(path, 10 * first.size, first.sha256)
    path.write_bytes(path.read_bytes().replace(b"play", b"halt"))
    assert not begins_with(path, first.size, first.sha256)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"time": "t"}], "no text to learn from; 1 lines without a text; .*--shadow-texts"),
        ([{"text": "a", "label": "alram"}], "line 1: label 'alram' is none .*did you mean 'alarm'"),
        ([{"text": "a", "label": True}], "line 1: label True is none"),
    ],
)
def test_refused(tmp_path: Path, rows: list[object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_traffic(write_lines(tmp_path / "log.jsonl", rows), KNOWN)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: no such file"):
        read_traffic(tmp_path / "none", KNOWN)
    with pytest.raises(DataError, match="is a folder"):
        read_traffic(tmp_path, KNOWN)
