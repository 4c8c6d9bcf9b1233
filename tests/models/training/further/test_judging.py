"""What students are held to where labels overturn the earlier TA's word."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestling.models.training.further.comparison import Judgement
from nestling.models.training.further.judging import compare, truth_of
from nestling.models.training.further.material import FurtherText

UNLABELLED, LABELLED = 200, 60
TEXTS = [FurtherText(f"text {i}", None, "traffic") for i in range(UNLABELLED)] + [
    FurtherText(f"other {i}", 1, "validation") for i in range(LABELLED)
]


def said(traffic: list[int], validation: int) -> Tensor:
    """Logits of these answers. traffic: the last stands for the rest."""
    answers = traffic + traffic[-1:] * (UNLABELLED - len(traffic)) + [validation] * LABELLED
    return torch.eye(3)[answers]


def worse(tiny: Tensor, ta: Tensor, by_labels: bool) -> set[str]:
    """Who is, in which kind of texts: all said 0 everywhere before."""
    before = {"tiny": said([0], 0), "ta": said([0], 0)}
    after = {"tiny": tiny, "ta": ta}
    compared = compare(TEXTS, truth_of(TEXTS, before), before, after, by_labels)
    return {f"{e.student} on {e.where}" for e in Judgement(compared, "ta", by_labels).worse}


CORRECTED = [1] * 40 + [0]
"""On unlabelled texts, as the labels of the others say."""


def test_a_student_may_follow_a_ta_that_labels_have_corrected() -> None:
    assert worse(said(CORRECTED, 1), said(CORRECTED, 1), by_labels=True) == set()
    elsewhere = said([2] * 40 + [0], 1)
    assert worse(elsewhere, said(CORRECTED, 1), by_labels=True) == {"tiny on traffic"}


def test_nobody_follows_a_ta_that_no_label_judges() -> None:
    found = worse(said(CORRECTED, 1), said(CORRECTED, 1), by_labels=False)
    assert found == {"tiny on traffic", "ta on traffic"}


def test_nobody_follows_a_ta_that_labels_find_worse() -> None:
    before = {"tiny": said([0], 1), "ta": said([0], 1)}
    after = {"tiny": said(CORRECTED, 1), "ta": said(CORRECTED, 2)}
    compared = compare(TEXTS, truth_of(TEXTS, before), before, after, by_labels=True)
    found = {e.student: (e.lost, e.after) for e in compared if e.where == "traffic"}
    assert found["tiny"] == (40, pytest.approx(1 - 40 / UNLABELLED))


def test_following_is_no_win_either() -> None:
    before = {"tiny": said([2] * 40 + [0], 0), "ta": said([0], 0)}
    after = {"tiny": said(CORRECTED, 1), "ta": said(CORRECTED, 1)}
    compared = compare(TEXTS, truth_of(TEXTS, before), before, after, by_labels=True)
    found = {e.student: (e.won, e.lost) for e in compared if e.where == "traffic"}
    assert found["tiny"] == (0, 0)
