"""Texts that are too long are judged by their beginnings, and the user is told."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nestling.models.evaluation.predictions import encode_all, fitting

from ..test_zoo import shipped

ZOO = shipped()
LIMIT = ZOO.architecture.max_tokens


def test_a_text_that_fits_is_left_as_it_is() -> None:
    assert fitting(ZOO, ["play", "stop"], "data.jsonl") == (("play", "stop"), [])


def test_a_long_text_is_cut_at_a_word_and_told() -> None:
    long = "transubstantiation " * 400
    texts, doubts = fitting(ZOO, ["play", long], "data.jsonl")
    assert texts[0] == "play"
    assert long.startswith(texts[1])
    assert texts[1].endswith("transubstantiation")
    assert LIMIT - 8 < len(encode_all(ZOO, texts, "data.jsonl")[1]) <= LIMIT
    assert doubts == [
        "data.jsonl: 1 of 2 texts have more than 512 tokens; what follows is of their beginnings, "
        "as a server answers them that is asked to truncate"
    ]


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_beginning_fits(part: str) -> None:
    texts, _ = fitting(ZOO, [part * 600], Path("data.jsonl"))
    encode_all(ZOO, texts, "data.jsonl")
