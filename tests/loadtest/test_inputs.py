"""What a user gives: texts, mixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.texts import read_texts
from nestling.loadtest.traffic.mix import draw, parse_mix, parse_shares


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"text": "a"}', "line 1: `label` must be a string, and is missing"),
        ('{"text": "a", "label": "b"}\n{"text": 3, "label": "b"}', "line 2: `text` must be"),
        ("{", "line 1: is not JSON"),
        ("[]", "line 1: is no object"),
        ("\n", "has no texts"),
        ('{"text": "a", "label": 0.5}', "line 1: `label` must be a string, and is 0.5"),
        ('{"text": "a", "label": true}', "line 1: `label` must be a string, and is true"),
        ('{"text": null, "label": "b"}', "line 1: `text` must be a string, and is null"),
        ('{"text": ["a"], "label": "b"}', r'`text` must be a string, and is \["a"\]'),
        ('{"text": " ", "label": "b"}', "line 1: `text` is empty"),
        ('{"text": "a", "label": ""}', "line 1: `label` is empty"),
        ('{"text": "a", "label": NaN}', "line 1: is not JSON"),
        (
            '{"text": "a", "text_pair": null, "label": "b"}',
            "`text_pair` must be a string, and is",
        ),
        ('{"text": "a", "text_pair": " ", "label": "b"}', "line 1: `text_pair` is empty"),
        ('{"text_pair": "a", "label": "b"}', "line 1: `text` must be a string, and is missing"),
        (
            '\n{"text": "a", "text_pair": "b", "label": "c"}\n\n{"text": "a", "label": "c"}',
            "line 4: has no `text_pair`, and line 2 has one; all lines are pairs of texts, or",
        ),
        ('{"text": "a", "labels": "b"}', 'line 1: `labels` must be a list of strings, and is "b"'),
        ('{"text": "a", "labels": ["b", null]}', "`labels` must be strings with something in them"),
        ('{"text": "a", "labels": [" "]}', "line 1: `labels` must be strings with something in"),
        ('{"text": "a", "labels": [], "label": "b"}', "line 1: has both `label` and `labels`"),
        (
            '{"text": "a", "labels": []}\n{"text": "a", "label": "c"}',
            "line 2: has `label`, and line 1 has `labels`",
        ),
        (
            '{"text": "a", "label": "c"}\n{"text": "a", "text_pair": "b", "label": "c"}',
            "line 2: has a `text_pair`, and line 1 has none; all lines are pairs of texts",
        ),
    ],
)
def test_a_file_without_labels_or_texts(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(content)
    with pytest.raises(LoadtestError, match=why):
        read_texts(path)


def test_texts_are_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = ['{"text": "null", "label": "01"}', "", '{"text": " \u2028 a", "label": 7}']
    path.write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    read = read_texts(path)
    assert read.texts == ("null", " \u2028 a")
    assert read.labels == ("01", "7")


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "text_pair": "b", "label": 1}\n' * 2)
    read = read_texts(path)
    assert read.texts == (("a", "b"), ("a", "b"))
    assert read.pairs


def test_several_labels(tmp_path: Path) -> None:
    """The same set is the same text, in whatever order it came."""
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a", "labels": []}\n{"text": "b", "labels": ["ü", "b", 1, "ü"]}')
    read = read_texts(path)
    assert (read.labels, read.several) == (("[]", '["1", "b", "ü"]'), True)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LoadtestError, match="cannot be read: No such file"):
        read_texts(tmp_path / "none")


def test_mixes_and_shares() -> None:
    assert parse_mix("protocol", "native") == {"native": 1}
    assert parse_mix("protocol", "native=3, tei=1") == {"native": 0.75, "tei": 0.25}
    assert parse_shares("faults", "slow=0.1") == {"slow": 0.1}
    for given in ("", "a=", "a=x", "a=0", "a=1,a=2", "a=-1", "a=nan"):
        with pytest.raises(LoadtestError, match=r"^protocol"):
            parse_mix("protocol", given)
    for given in ("slow", "slow=0.6,malformed=0.6"):
        with pytest.raises(LoadtestError, match=r"^faults"):
            parse_shares("faults", given)


def test_drawn_by_their_shares() -> None:
    drawn = draw({"a": 0.5, "b": 0.3}, 100_000, np.random.default_rng(0))
    shares = [float((drawn == index).mean()) for index in (0, 1, -1)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.01)
    assert (draw({"a": 1.0}, 1000, np.random.default_rng(0)) == 0).all()
    assert (draw({}, 10, np.random.default_rng(0)) == -1).all()
