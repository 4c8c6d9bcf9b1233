"""How far the weights go: as far as nothing on the held-out texts is harmed."""

from __future__ import annotations

import pytest
import torch

from nestling.models.training.further.blending import HALF, LESS, blended, farthest
from nestling.models.training.further.comparison import Comparison

TEXTS = 100


def found(student: str, gained: int, by_the_ta: bool = False) -> Comparison:
    won, lost = max(0, gained) + 1, max(0, -gained) + 1
    return Comparison("traffic", student, TEXTS, 0.9, 0.9, won, lost, by_the_ta)


def test_a_blend_lies_between_and_is_what_a_checkpoint_holds() -> None:
    before = {"w": torch.tensor([1.0, 2.0, 0.1])}
    after = {"w": torch.tensor([3.0, 2.0, 0.3], dtype=torch.bfloat16)}
    half = blended(before, after, 0.5)["w"]
    assert half.dtype == torch.float32
    assert torch.equal(half, half.bfloat16().float())
    assert half.tolist() == pytest.approx([2.0, 2.0, 0.2], rel=1 / 128)
    assert blended(before, after, 1.0)["w"].tolist() == after["w"].tolist()


def test_a_blend_of_tas_is_a_blend_of_one_that_learnt_nothing() -> None:
    weights = {"w": torch.linspace(-1, 1, 9).bfloat16()}
    for share in (1.0, HALF, *LESS):
        assert torch.equal(blended(weights, weights, share)["w"], weights["w"].float())


UNHARMED = [found("ta", 0), found("tiny", 0)]


def tried(
    half: list[Comparison], from_whole: list[Comparison] = UNHARMED, by_labels: bool = False
) -> float:
    """half: what half of the way brings. from_whole: half of it, beside all of it."""

    def compared(first: float, then: float) -> list[Comparison]:
        if first:
            return from_whole
        return half if then >= HALF else UNHARMED

    return farthest(compared, by_labels)


@pytest.mark.parametrize(
    ("half", "share"),
    [
        (UNHARMED, 0.5),
        ([found("ta", 3), found("tiny", -1), found("small", 1)], 0.5),
        ([found("ta", -1), found("tiny", 9)], 0.25),
        ([found("ta", 9), found("tiny", -2), found("small", 1)], 0.25),
        ([found("ta", -1, by_the_ta=True), found("tiny", 0, by_the_ta=True)], 0.5),
        ([found("ta", -2, by_the_ta=True), found("tiny", 5, by_the_ta=True)], 0.25),
        ([found("ta", -9, by_the_ta=True), found("ta", 9), found("tiny", 0)], 0.25),
    ],
)
def test_half_of_the_way_unless_it_harms(half: list[Comparison], share: float) -> None:
    assert tried(half) == share


def test_what_labels_judge_later_may_change_its_word() -> None:
    changed = [found("ta", -9, by_the_ta=True), found("tiny", 0)]
    assert tried(changed, by_labels=True) == HALF
    assert tried([*changed, found("ta", -1)], by_labels=True) == LESS[0]


def test_all_of_the_way_where_that_is_better_beyond_noise() -> None:
    assert tried(UNHARMED, from_whole=[found("ta", 0), found("tiny", -20)]) == 1.0
    assert tried(UNHARMED, from_whole=[found("ta", 0), found("tiny", -2)]) == HALF
    harmful = [found("ta", -1), found("tiny", 0)]
    assert tried(harmful, from_whole=[found("ta", 0), found("tiny", -20)]) == LESS[0]


def test_where_all_harm_the_least_is_left_to_the_judges() -> None:
    assert farthest(lambda *_: [found("ta", -1), found("tiny", 0)], False) == LESS[-1]
