"""When something counts as worse: rarely by chance, always when it is much worse."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binom

from nestling.models.training.further.comparison import Comparison, Judgement

TEXTS = 400


def compared(
    won: int, lost: int, student: str = "tiny", by_the_ta: bool = False, where: str = "traffic"
) -> Comparison:
    before = torch.ones(TEXTS, dtype=torch.bool)
    after = before.clone()
    before[:won] = False
    after[won : won + lost] = False
    return Comparison.of(where, student, before, after, by_the_ta)


def test_mcnemars_test_and_its_interval() -> None:
    found = compared(won=5, lost=15)
    assert found.before == pytest.approx(395 / 400)
    assert found.after == pytest.approx(385 / 400)
    assert found.p_worse() == pytest.approx(binom.sf(14, 20, 0.5))
    low, high = found.interval
    assert low < -10 / 400 < high < 0
    assert compared(0, 0).p_worse() == 1.0


def test_the_interval_has_the_truth_as_often_as_it_says() -> None:
    """Counted exactly, over all outcomes of 100 texts of which 5 % are won and 3 % lost."""
    texts, won, lost = 100, 0.05, 0.03
    covered = 0.0
    for changed in range(texts + 1):
        for gains in range(changed + 1):
            found = Comparison("", "tiny", texts, 0.5, 0.5, gains, changed - gains, False)
            low, high = found.interval
            if low <= won - lost <= high:
                chance = binom.pmf(gains, changed, won / (won + lost))
                covered += binom.pmf(changed, texts, won + lost) * chance
        if binom.sf(changed, texts, won + lost) < 1e-6:
            break
    assert 0.94 < covered < 0.99


def test_no_change_among_few_texts_says_little() -> None:
    low, high = compared(0, 0).interval
    assert low == -high
    assert 0.005 < high < 0.01


def test_the_level_is_over_all_that_is_compared() -> None:
    alone = compared(won=2, lost=10)
    assert 0.01 < alone.p_worse() < 0.05
    assert Judgement([alone], "ta", False).worse == [alone]
    assert Judgement([alone, *[compared(0, 0)] * 7], "ta", False).worse == []


def test_the_tas_own_word_judges_it_unless_labels_that_nobody_picked_do() -> None:
    changed = compared(won=0, lost=80, student="ta", by_the_ta=True)
    complaints = compared(won=15, lost=0, student="ta")
    assert Judgement([changed, complaints], "ta", by_labels=False).worse == [changed]
    few = compared(won=0, lost=6, student="ta", by_the_ta=True)
    assert Judgement([few], "ta", by_labels=False).worse == []
    judged = Judgement([changed, complaints], "ta", by_labels=True)
    assert (judged.worse, judged.tested) == ([], [complaints])
    assert judged.level == 0.05
    assert [set(each) & {"p_worse", "level"} for each in judged.to_json()] == [
        set(),
        {"p_worse", "level"},
    ]


def test_what_is_kept_is_the_test_that_was_made() -> None:
    changed = compared(won=0, lost=6, student="ta", by_the_ta=True)
    (kept,) = Judgement([changed], "ta", by_labels=False).to_json()
    assert kept["p_worse"] == pytest.approx(binom.sf(5, TEXTS, 0.01))


def test_few_texts_say_what_they_could_not_have_told() -> None:
    def of(texts: int, student: str, by_the_ta: bool = False) -> Comparison:
        return Comparison("traffic", student, texts, 1.0, 1.0, 0, 0, by_the_ta)

    eight = [of(10, f"{i}") for i in range(8)]
    judged = Judgement(eight, "ta", False)
    assert judged.noticed(eight[0]) == 8
    assert judged.blind() == {"10 of traffic": 8}
    assert Judgement([of(3, "tiny")], "ta", False).blind() == {"3 of traffic": None}
    assert Judgement([of(50, "tiny")], "ta", False).blind() == {}
    own = of(50, "ta", by_the_ta=True)
    assert Judgement([own], "ta", False).noticed(own) == 3
