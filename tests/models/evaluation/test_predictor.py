"""Streams of texts, of any length, answered in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from nestling.models import Cascade, Checkpoint, NestlingError, Predictor, Stage
from nestling.models.evaluation import predictor as module
from nestling.models.runners.torch import TorchRunner

from ...conftest import SENTENCES

WORDS = SENTENCES.split()
TEXTS = [" ".join(WORDS[i % 23 : i % 23 + 1 + i % 7]) for i in range(50)]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 8)


def test_a_stream_is_answered_as_a_list_is(checkpoint: Checkpoint, windows: None) -> None:
    predictor = Predictor(checkpoint)
    expected = [(d.answer.label, len(d.tokens)) for d in predictor.predict(TEXTS)]
    for stream in (TEXTS, iter(TEXTS), [{"id": 1, "text": text} for text in TEXTS]):
        found = [(d.answer.label, len(d.tokens)) for d in predictor.stream(stream)]
        assert found == expected
    rows = ({"question": text} for text in TEXTS)
    assert len(list(predictor.stream(rows, column="question"))) == len(TEXTS)


def test_few_texts_of_a_stream_are_held_at_once(checkpoint: Checkpoint, windows: None) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "play some music"

    decisions = Predictor(checkpoint).stream(endless())
    for _ in range(9):
        next(decisions)
    assert taken == 16


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (" ".join(["play"] * 99), "text 11: 101 tokens; the limit is 40"),
        (7, "text 11: is a whole number, 7; expected a text"),
        ("", "text 11: is empty"),
        ({"txt": "play"}, "text 11: text is missing"),
    ],
)
def test_a_text_that_cannot_be_answered_is_named(
    checkpoint: Checkpoint, windows: None, wrong: object, said: str
) -> None:
    decisions = Predictor(checkpoint).stream([*TEXTS[:11], wrong])  # type: ignore[list-item]
    for _ in range(8):  # those before it
        next(decisions)
    with pytest.raises(NestlingError) as error:
        next(decisions)
    assert str(error.value) == said


def test_the_promise_is_that_of_the_runner(checkpoint: Checkpoint) -> None:
    """Thresholds of other logits than the runner's promise nothing."""
    cascade = Cascade("own", (Stage(checkpoint.students["tiny"], 0.5), Stage(checkpoint.ta, 0.0)))
    own = replace(checkpoint, cascades={"own": cascade}, default="own")
    assert Predictor(checkpoint, runner=TorchRunner(own)).cascade is cascade


def test_a_runner_is_loaded_by_name(checkpoint: Checkpoint) -> None:
    predictor = Predictor.load(checkpoint.path, "tiny", "torch")
    found, expected = predictor.predict(TEXTS), Predictor(checkpoint, "tiny").predict(TEXTS)
    assert [predictor.label(d) for d in found] == [predictor.label(d) for d in expected]
    with pytest.raises(NestlingError, match="model: 'large' is none of auto, tiny, small, ta"):
        Predictor.load(checkpoint.path, "large", "torch")


PAIRS = list(pairwise(TEXTS))


def test_pairs_are_answered_from_tuples_and_from_rows(
    pair_checkpoint: Checkpoint, windows: None
) -> None:
    predictor = Predictor(pair_checkpoint)
    expected = [(d.answer.label, len(d.tokens)) for d in predictor.predict(PAIRS)]
    assert expected[0][1] == 3 + sum(len(text.split()) for text in PAIRS[0])
    rows = [{"id": 1, "text": first, "text_pair": second} for first, second in PAIRS]
    renamed = [{"premise": first, "then": second} for first, second in PAIRS]
    for found in (
        predictor.stream(iter(PAIRS)),
        predictor.stream(rows),
        predictor.stream(renamed, column="premise", pair_column="then"),
    ):
        assert [(d.answer.label, len(d.tokens)) for d in found] == expected
    exchanged = predictor.predict([(second, first) for first, second in PAIRS])
    assert [d.answer.confidence for d in exchanged] != [
        d.answer.confidence for d in predictor.predict(PAIRS)
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("play", "is the text 'play'; this checkpoint is asked about pairs of texts: give a tuple"),
        (["play", "six"], 'is a list, ["play", "six"]; this checkpoint is asked about pairs'),
        (("play", " "), "the second is empty"),
        ((7, "play"), "the first is a whole number, 7; expected a text"),
        ({"text": "play"}, "text_pair is missing"),
        ({"text": None, "text_pair": "play"}, "text is empty"),
        (("play " * 20, "set " * 20), "43 tokens; the limit is 40"),
    ],
)
def test_a_pair_that_cannot_be_answered_is_named(
    pair_checkpoint: Checkpoint, wrong: object, said: str
) -> None:
    decisions = Predictor(pair_checkpoint).stream([PAIRS[0], wrong])  # type: ignore[list-item]
    with pytest.raises(NestlingError) as error:
        next(decisions)
    assert str(error.value).startswith(f"text 1: {said}")


def test_the_other_kind_of_text_is_refused(
    checkpoint: Checkpoint, pair_checkpoint: Checkpoint
) -> None:
    with pytest.raises(NestlingError, match=r"^text 0: is a list, .*; .* one text at a time: give"):
        Predictor(checkpoint).predict(PAIRS[:1])
    with pytest.raises(NestlingError, match=r"^text 1: is the text 'play'; .* pairs of texts:"):
        Predictor(pair_checkpoint).predict([PAIRS[0], "play"])
    two = ["play", "six"]  # which the tokenizer would take for a pair
    with pytest.raises(NestlingError, match=r"^text 0: is a list, .*; expected a text$"):
        Predictor(checkpoint).predict([two])  # type: ignore[list-item]
    row = {"text": "play", "text_pair": "of no matter where one text is asked about"}
    [decision] = Predictor(checkpoint).stream([row])
    assert len(decision.tokens) == 3
