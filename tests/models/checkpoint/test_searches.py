"""Students that are added to a checkpoint: all of them or none, and the texts are remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nestling.models import Checkpoint, DataError, NestlingError, StudentSpec, load_checkpoint
from nestling.models.checkpoint import searches
from nestling.models.checkpoint.held_out import HeldOutAnswers, read_held_out
from nestling.models.checkpoint.searches import (
    SearchRecord,
    add_students,
    copy_with_students,
    read_searches,
)
from nestling.models.checkpoint.seen import (
    doubts_about_evaluation,
    refuse_to_search,
    refuse_training_texts,
)
from nestling.models.inputs.data.fingerprints import TextSample

from ...conftest import LABELS, task_with

TEXTS = [f"play song number {i}" for i in range(100)]
OTHERS = [f"what is the weather on day {i}" for i in range(100)]
FOUND = {"mix-9": StudentSpec((1, 3), 32, (3, 4), (24, 64))}

ANSWERS = HeldOutAnswers(
    task_with(len(LABELS)),
    torch.tensor([0, 1]),
    torch.tensor([4, 5]),
    {name: torch.eye(len(LABELS))[:2] for name in ("tiny", "small", "mix-9", "ta")},
)
"""On two of the texts."""


def a_search(texts: list[str] = TEXTS) -> SearchRecord:
    measured = {"mix-9": {"accuracy": 0.9}}
    return SearchRecord(
        "search.jsonl", "ab" * 32, TextSample.of(texts), {"max_drop": 0.01}, measured
    )


def test_they_are_students_like_others(checkpoint_dir: Path) -> None:
    before = load_checkpoint(checkpoint_dir)
    add_students(checkpoint_dir, FOUND, a_search(), ANSWERS)
    after = load_checkpoint(checkpoint_dir)
    assert after.students.keys() - before.students.keys() == {"mix-9"}
    assert after.students["mix-9"].spec == FOUND["mix-9"]
    assert after.weights_sha256 == before.weights_sha256
    assert read_searches(checkpoint_dir) == [a_search()]
    answers = read_held_out(after)
    assert answers is not None
    assert answers.logits.keys() == after.students.keys()


def test_a_name_that_is_taken_is_refused(checkpoint_dir: Path) -> None:
    with pytest.raises(NestlingError, match="has a student 'tiny' already"):
        add_students(checkpoint_dir, {"tiny": FOUND["mix-9"]}, a_search(), ANSWERS)
    assert read_searches(checkpoint_dir) == []


def test_a_copy_leaves_the_checkpoint_as_it_is(checkpoint: Checkpoint, tmp_path: Path) -> None:
    copy_with_students(checkpoint, tmp_path / "wider", FOUND, a_search(), ANSWERS)
    assert "mix-9" in load_checkpoint(tmp_path / "wider").students
    assert "mix-9" not in load_checkpoint(checkpoint.path).students
    with pytest.raises(NestlingError, match="exists already"):
        copy_with_students(checkpoint, tmp_path / "wider", FOUND, a_search(), ANSWERS)


@pytest.mark.parametrize("files", [1, 2])
def test_a_search_that_was_killed_between_its_files_only_refuses_its_texts(
    checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    written = []

    def killed_after_so_many(write: Callable[..., None]) -> Callable[..., None]:
        def writing(*arguments: object) -> None:
            if len(written) == files:
                raise KeyboardInterrupt
            written.append(write)
            write(*arguments)

        return writing

    for name in ("write_hashed_json", "write_held_out"):
        monkeypatch.setattr(searches, name, killed_after_so_many(getattr(searches, name)))
    with pytest.raises(KeyboardInterrupt):
        add_students(checkpoint_dir, FOUND, a_search(), ANSWERS)
    checkpoint = load_checkpoint(checkpoint_dir)
    assert "mix-9" not in checkpoint.students
    assert (read_held_out(checkpoint) is None) == (files == 1)
    with pytest.raises(DataError, match="100 of 100 texts are among those by which students"):
        refuse_training_texts(checkpoint, TEXTS, "cd" * 32, Path("data.jsonl"))


def test_a_search_says_when_many_rows_are_copies(checkpoint: Checkpoint) -> None:
    path = Path("a.csv")
    assert refuse_to_search(checkpoint, TEXTS + TEXTS[:5], "cd" * 32, path) == []
    (said,) = refuse_to_search(checkpoint, TEXTS + TEXTS[:6], "cd" * 32, path)
    assert said.startswith("a.csv: 6 of 106 rows repeat the text of another one; the intervals")


def test_texts_that_were_looked_at_do_not_calibrate(checkpoint_dir: Path) -> None:
    add_students(checkpoint_dir, FOUND, a_search(OTHERS), ANSWERS)
    add_students(checkpoint_dir, {"mix-8": FOUND["mix-9"]}, a_search(), ANSWERS)
    checkpoint, path = load_checkpoint(checkpoint_dir), Path("data.jsonl")
    with pytest.raises(DataError, match=r"is the very file by which students of .* were searched"):
        refuse_training_texts(checkpoint, ["new"], "ab" * 32, path)
    for texts in (TEXTS, OTHERS):
        with pytest.raises(DataError, match="100 of 100 texts are among those by which students"):
            refuse_training_texts(checkpoint, texts, "cd" * 32, path)
    fresh = [f"book a table for {i}" for i in range(100)]
    assert refuse_training_texts(checkpoint, fresh, "cd" * 32, path) == []
    (said,) = refuse_training_texts(checkpoint, fresh + TEXTS[:3], "cd" * 32, path)
    assert said.endswith("the promise is a little too good")
    (said,) = doubts_about_evaluation(checkpoint, TEXTS, "cd" * 32, path)
    assert said.endswith("the numbers are too good")
