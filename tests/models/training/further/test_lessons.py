"""Who was sure and wrong, and what soft targets say of it."""

from __future__ import annotations

import torch

from nestling.models import Checkpoint
from nestling.models.cascade.policy import Cascade, Stage
from nestling.models.training.further.lessons import TURNS, corrected, lessons_of

SURE_OF_0, UNSURE_OF_0 = [9.0, 0.0, 0.0, 0.0, 0.0], [0.4, 0.3, 0.0, 0.0, 0.0]
SURE_OF_1 = [0.0, 9.0, 0.0, 0.0, 0.0]


def test_the_truth_is_the_label_or_the_tas_word(checkpoint: Checkpoint) -> None:
    logits = {
        "tiny": torch.tensor([SURE_OF_0, UNSURE_OF_0, SURE_OF_0, SURE_OF_0]),
        "small": torch.tensor([SURE_OF_1] * 4),
        "ta": torch.tensor([SURE_OF_1, SURE_OF_1, SURE_OF_1, SURE_OF_1]),
    }
    found = lessons_of(
        [None, None, 0, 1], logits, checkpoint.students, Cascade.alone(checkpoint.ta)
    )
    assert found.truth.tolist() == [1, 1, 0, 1]
    assert found.wrong["tiny"].tolist() == [True, False, False, True]
    assert found.wrong["small"].tolist() == [False, False, True, False]
    assert found.wrong["ta"].tolist() == [False, False, True, False]
    assert found.turns().tolist() == [0] * TURNS + [1] + [2] * TURNS + [3] * TURNS
    assert found.targets.argmax(-1).tolist() == found.truth.tolist()


def test_who_is_sure_the_cascade_says(checkpoint: Checkpoint) -> None:
    logits = {name: torch.tensor([UNSURE_OF_0]) for name in checkpoint.students}
    students = checkpoint.students
    stages = (Stage(students["tiny"], 0.2), Stage(students["small"], 0.9), Stage(students["ta"], 0))
    found = lessons_of([1], logits, students, Cascade("all", stages))
    assert {name: rows.item() for name, rows in found.wrong.items()} == {
        "tiny": True,
        "small": False,
        "ta": False,
    }


def test_answer_and_truth_change_places() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    fixed = corrected(logits, torch.tensor([1, 0]))
    assert fixed.tolist() == [[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]]
