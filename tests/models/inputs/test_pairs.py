"""Pairs of texts: read from files, tokenised, and cut."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from tokenizers import Tokenizer, processors

from nestling.models import DataError
from nestling.models.inputs.data import (
    LabelColumns,
    TextColumns,
    read_groups,
    read_labelled,
    read_texts,
)
from nestling.models.inputs.data.fingerprints import fingerprint
from nestling.models.inputs.data.text_columns import TEXT, TEXT_OR_PAIR
from nestling.models.inputs.text import beginning, characters, joined, parts
from nestling.models.inputs.tokenizer import TextTokenizer

from ...conftest import WORDS, write_tokenizer

PAIRS = TextColumns(pairs=True)
CLS, SEP = 2, 3
RAISED = len(WORDS)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    path = write_tokenizer(tmp_path_factory.mktemp("pairs") / "tokenizer.json")
    return TextTokenizer(path, RAISED)


@pytest.fixture(scope="module")
def untyped(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    """Of a model that does not tell the second text's tokens from the first's."""
    return TextTokenizer(write_tokenizer(tmp_path_factory.mktemp("pairs") / "tokenizer.json"))


def ids(words: str, raised: int = 0) -> list[int]:
    return [WORDS.index(word) + raised for word in words.split()]


def second(found: list[int]) -> list[int]:
    """Tokens of the second text, and what ends it."""
    return [each for each in found if each >= RAISED]


def test_ids_of_the_second_text_are_raised(
    tokenizer: TextTokenizer, untyped: TextTokenizer
) -> None:
    pair = ("play some music", "set an alarm")
    first = [CLS, *ids(pair[0]), SEP]
    assert tokenizer.encode([pair]) == [first + ids(pair[1], RAISED) + [SEP + RAISED]]
    assert untyped.encode([pair]) == [first + ids(pair[1]) + [SEP]]
    assert tokenizer.encode(["play some music"]) == [first]
    assert tokenizer.encode([pair, ("play", "six")])[1] == tokenizer.encode([("play", "six")])[0]
    for each in (tokenizer, untyped):
        assert each.encode_truncated([pair, "play"], 99) == each.encode([pair, "play"])


@pytest.mark.parametrize(
    ("template", "types"), [("[CLS] $A [SEP] $B:1 [SEP]", [0, 0, 0, 1, 0]), ("$A $B:1", [0, 1])]
)
def test_types_are_those_that_the_tokenizer_gives(
    tmp_path: Path, template: str, types: list[int]
) -> None:
    """Also where the last token is of the first type, and where nothing is added to texts."""
    file = Tokenizer.from_file(str(write_tokenizer(tmp_path / "tokenizer.json")))
    special = [(name, id) for name, id in (("[CLS]", CLS), ("[SEP]", SEP)) if name in template]
    file.post_processor = processors.TemplateProcessing("$A", template, special)
    file.save(str(tmp_path / "tokenizer.json"))
    tokenizer = TextTokenizer(tmp_path / "tokenizer.json", RAISED)
    pair, nothing = tokenizer.encode([("play", "music"), ""])
    assert [each // RAISED for each in pair] == types
    assert nothing == []


@pytest.mark.parametrize(
    ("pair", "limit", "lengths"),
    [
        (("play " * 30, "set an alarm"), 13, (7, 3)),
        (("set an alarm", "play " * 30), 13, (3, 7)),
        (("play " * 30, "music " * 30), 13, (5, 5)),
        (("play " * 30, "music " * 30), 14, (5, 6)),
        (("play " * 5, "music " * 6), 13, (5, 5)),
        (("play", "music " * 30), 4, (0, 1)),
        (("play", "music"), 3, (0, 0)),
    ],
)
def test_the_longer_text_is_cut_first(
    tokenizer: TextTokenizer, pair: tuple[str, str], limit: int, lengths: tuple[int, int]
) -> None:
    [found] = tokenizer.encode_truncated([pair], limit)
    assert len(found) == limit
    assert len(second(found)) - 1 == lengths[1]
    assert len(found) - len(second(found)) - 2 == lengths[0]
    [cut] = tokenizer.beginnings([pair], limit)
    assert tuple(len(part.split()) for part in parts(cut)) == lengths
    assert all(whole.startswith(part) for whole, part in zip(pair, parts(cut), strict=True))


def test_what_fits_is_left_as_it_is(tokenizer: TextTokenizer) -> None:
    texts = [("play  some", " music "), "play some music"]
    assert tokenizer.beginnings(texts, 6) == texts


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=30), st.text(max_size=30), st.integers(3, 20))
def test_beginnings_of_pairs_fit(
    tokenizer: TextTokenizer, first: str, second: str, limit: int
) -> None:
    pair = (first * 3, second * 3)
    [cut] = tokenizer.encode(tokenizer.beginnings([pair], limit))
    assert len(cut) <= limit
    [truncated] = tokenizer.encode_truncated([pair], limit)
    assert len(truncated) == min(limit, len(tokenizer.encode([pair])[0]))


def test_a_pair_is_empty_if_nothing_is_left_of_both(tokenizer: TextTokenizer) -> None:
    nothing, first, last = tokenizer.encode([("\x00", "\x00"), ("play", "\x00"), ("\x00", "play")])
    assert tokenizer.is_empty(nothing)
    assert not tokenizer.is_empty(first)
    assert not tokenizer.is_empty(last)


def test_a_text_and_a_pair_as_one_thing() -> None:
    assert [parts("a"), parts(("a", "b"))] == [("a",), ("a", "b")]
    assert [joined(["a"]), joined(["a", "b"])] == ["a", ("a", "b")]
    assert [characters("abc"), characters(("abc", "de"))] == [3, 5]
    assert [beginning("abc", 2), beginning(("abc", "d"), 2)] == ["ab", ("ab", "d")]
    with pytest.raises(ValueError, match="too many values"):
        joined(["a", "b", "c"])


def test_fingerprints_of_pairs() -> None:
    assert fingerprint(("A  b", "c")) == fingerprint(("a b", "C"))
    different = ["a b c", ("a b", "c"), ("a", "b c"), ("b c", "a")]
    assert len(set(map(fingerprint, different))) == 4


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    """A row that lacks a column has an empty cell where the form knows no other way."""
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".json":
            path.write_text(json.dumps(rows))
        case ".csv":
            names = list(dict.fromkeys(name for row in rows for name in row))
            lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
            path.write_text("\n".join([",".join(names), *lines, ""]))
        case _:
            parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


FORMS = [".jsonl", ".json", ".csv", ".parquet"]
ROWS: list[dict[str, object]] = [
    {"text": "a man sleeps", "text_pair": "he rests", "label": "yes"},
    {"text": "a man runs", "text_pair": "he rests", "label": "no"},
]


@pytest.mark.parametrize("form", FORMS)
def test_pairs_are_read(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"data{form}", ROWS)
    pairs = (("a man sleeps", "he rests"), ("a man runs", "he rests"))
    for columns in (PAIRS, TEXT_OR_PAIR):
        assert read_labelled(path, columns).texts == pairs
        assert read_texts(path, columns) == pairs
    assert read_texts(path) == read_labelled(path).texts == ("a man sleeps", "a man runs")
    assert read_groups(path, "label", PAIRS) == ("yes", "no")
    other = TextColumns("text_pair", "text", pairs=True)
    assert read_texts(path, other)[0] == ("he rests", "a man sleeps")


@pytest.mark.parametrize("form", FORMS)
def test_a_file_says_whether_it_has_pairs(tmp_path: Path, form: str) -> None:
    rows: list[dict[str, object]] = [{"text": "play", "label": "a"}]
    path = write(tmp_path / f"data{form}", rows)
    assert read_labelled(path, TEXT_OR_PAIR).texts == ("play",)
    with pytest.raises(DataError, match="no column 'text_pair'; there are text, label"):
        read_labelled(path, PAIRS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("columns", [PAIRS, TEXT_OR_PAIR], ids=["asked", "found"])
def test_half_a_pair_is_refused(tmp_path: Path, form: str, columns: TextColumns) -> None:
    first = write(tmp_path / f"first{form}", [*ROWS, {"text": "alone", "label": "no"}])
    with pytest.raises(DataError, match=r"row 3: text_pair is (missing|empty)$"):
        read_labelled(first, columns)
    last = write(tmp_path / f"last{form}", [*ROWS, {"text_pair": "alone", "label": "no"}])
    with pytest.raises(DataError, match=r"row 3: text is (missing|empty)$"):
        read_labelled(last, columns)


@pytest.mark.parametrize(
    ("columns", "label", "said"),
    [
        (TextColumns("text", "text", pairs=True), "label", "text and text_pair are both read from"),
        (TextColumns("text", "label", pairs=None), "label", "text_pair and label are both read"),
        (TextColumns("text", "label", pairs=True), "label", "text_pair and label are both read"),
        (TEXT, "text", "text and label are both read from the column 'text'"),
    ],
)
def test_one_column_holds_one_thing(
    tmp_path: Path, columns: TextColumns, label: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_labelled(write(tmp_path / "data.jsonl", ROWS), columns, LabelColumns(label))


def test_a_second_column_that_nobody_asks_for_may_be_any(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", ROWS)
    assert read_labelled(path, TextColumns("text", "label")).labels == ("yes", "no")


def test_faults_of_a_row() -> None:
    assert PAIRS.fault_in({"text": "a", "text_pair": "b"}) is None
    assert PAIRS.fault_in({"text": "a"}) == "text_pair is missing"
    assert PAIRS.fault_in({"text": 7, "text_pair": ""}) == (
        "text is a whole number, 7; expected a text"
    )
    assert TEXT.fault_in({"text": "a", "text_pair": 7}) is None
