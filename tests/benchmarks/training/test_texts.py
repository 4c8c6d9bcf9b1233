"""Which texts train, calibrate and test."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from benchmarks.training.sets.registry import OPINIONS, DataSet, chosen
from benchmarks.training.sets.texts import TEST, parts, prepared, read, shortened, write
from nestling.models.errors import DataError

from ...conftest import write_tokenizer

LABELS = ("good", "bad")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A set of 60 texts that train, 10 that validate, 20 that test."""
    folder = tmp_path / "some"
    folder.mkdir()
    for part, count in (("train", 60), ("validation", 10), ("test", 20)):
        rows = [(f"{part} {number}", LABELS[number % 2]) for number in range(count)]
        write(folder / f"{part}.jsonl", rows)
    return tmp_path


def test_what_the_validation_lacks_is_drawn_from_train(data: Path) -> None:
    found = parts(data, DataSet("some", OPINIONS, calibration=25))
    assert (len(found.train), len(found.calibration), len(found.test)) == (45, 25, 20)
    assert found.drawn == 15
    assert not set(found.train) & set(found.calibration)
    assert found == parts(data, DataSet("some", OPINIONS, calibration=25))


def test_a_validation_that_is_large_enough_is_all(data: Path) -> None:
    found = parts(data, DataSet("some", OPINIONS, calibration=5))
    assert (len(found.train), len(found.calibration), found.drawn) == (60, 10, 0)


def test_a_validation_may_be_left_out(data: Path) -> None:
    found = parts(data, DataSet("some", OPINIONS, calibration=8, validation=False))
    assert (len(found.train), len(found.calibration), found.drawn) == (52, 8, 8)
    assert all(text.startswith("train") for text, _ in found.calibration)


def test_no_text_that_tests_trains_and_no_unknown_label_is_asked(data: Path) -> None:
    rows = [("Train  3", "bad"), ("another", "good"), ("a third", "never seen")]
    write(data / "some" / "test.jsonl", rows)
    found = parts(data, DataSet("some", OPINIONS, calibration=5))
    assert found.test == rows[:2]
    assert found.unknown == {"calibration": 0, "test": 1}
    assert (found.repeated, len(found.train)) == (1, 59)


def test_parts_are_written_once_and_counted(data: Path, tmp_path: Path) -> None:
    some = DataSet("some", OPINIONS, calibration=25)
    work = tmp_path / "work"
    said = prepared(data, some, work)
    assert said["train"] == 45
    assert said["labels"] == 2
    (data / "some" / "train.jsonl").unlink()
    assert prepared(data, some, work) == said
    assert read(work, TEST)[0] == ("test 0", "good")


def test_compressed_files_are_read(data: Path) -> None:
    plain = data / "some" / "train.jsonl"
    with lzma.open(plain.with_name("train.jsonl.xz"), "wt", encoding="utf-8") as packed:
        packed.write(plain.read_text("utf-8"))
    plain.unlink()
    assert len(read(data / "some", "train")) == 60


def test_a_wrong_row_and_a_missing_file_are_named(data: Path) -> None:
    (data / "some" / "test.jsonl").write_text(json.dumps({"text": "of no label"}) + "\n")
    with pytest.raises(DataError, match=r"test\.jsonl: row 1"):
        read(data / "some", "test")
    with pytest.raises(DataError, match="neither other"):
        read(data / "some", "other")
    with pytest.raises(DataError, match="trec"):
        chosen(["trec"], data)


def test_long_texts_are_cut_after_a_word(tmp_path: Path) -> None:
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json")
    source, target = tmp_path / "all.jsonl", tmp_path / "cut.jsonl"
    words = "play some music set an alarm for six"
    write(source, [(words, "music"), ("play", "music")])
    assert shortened(source, target, tokenizer, limit=5) == 1
    assert read(tmp_path, "cut") == [("play some music", "music"), ("play", "music")]
