"""Which texts train and which judge, and what the checkpoint remembers of them."""

from __future__ import annotations

from collections import Counter

import pytest

from nestling.models.inputs.data import fingerprints
from nestling.models.inputs.data.fingerprints import TextSample
from nestling.models.training.further.parts import FurtherPart, part_of, parts_of

TEXTS = [f"text {i}" for i in range(1000)]


def test_a_text_is_always_in_the_same_part() -> None:
    counted = Counter(map(part_of, TEXTS))
    assert counted[FurtherPart.JUDGES] == pytest.approx(200, abs=50)
    assert counted[FurtherPart.CHOOSES] == pytest.approx(100, abs=40)
    assert part_of("Text  1") is part_of("text 1")


def test_what_was_trained_on_judges_nothing() -> None:
    known, new = TEXTS[:500], TEXTS[500:]
    parts = parts_of(TEXTS, TextSample.of(known))
    assert set(parts[:500]) == {FurtherPart.TRAINS}
    assert parts[500:] == list(map(part_of, new))
    assert set(parts_of(TEXTS, None)) == {FurtherPart.TRAINS}


def test_a_sample_of_some_texts_tells_of_some_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "KEPT", 100)
    sample = TextSample.of(TEXTS[:500])
    assert not any(sample.lacks(text) for text in TEXTS[:500])
    assert 0 < sum(sample.lacks(text) for text in TEXTS[500:]) < 200


@pytest.mark.parametrize("kept", [100, 4096])
def test_texts_join_a_sample(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "KEPT", kept)
    joined = TextSample.of(TEXTS[:600]).joined(TEXTS[300:])
    whole = TextSample.of(TEXTS)
    assert joined.kept == whole.kept
    assert joined.distinct == pytest.approx(1000, abs=0 if kept > 1000 else 100)
    assert joined.whole == whole.whole
