"""Unlabelled texts join the pool: judged by the teacher, seen by the TA, never those that test."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from nestling.models import DataError, load_checkpoint
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.checkpoint.seen import refuse_training_texts
from nestling.models.inputs.data import Labelled
from nestling.models.inputs.data.text_columns import TEXT
from nestling.models.inputs.tokenizer import TextTokenizer
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.training.examples import Examples
from nestling.models.training.matta import JointTraining, Pool
from nestling.models.training.recipe import Recipe
from nestling.models.training.unlabelled import read_unlabelled, sure_labels

from ...conftest import task_with, tiny_architecture, tiny_students, write_tokenizer
from .conftest import Train, Workshop

NEW = ("play a table", "turn off the weather", "an alarm in french")


def write(path: Path, texts: tuple[str, ...]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_only_what_is_new_is_kept(tmp_path: Path) -> None:
    tokenizer = TextTokenizer(write_tokenizer(tmp_path / "tokenizer.json"))
    train = Labelled(("Play some music",), ("music",), "")
    held_out = Labelled(("set an alarm",), ("alarm",), "")
    path = tmp_path / "unlabelled.jsonl"
    write(path, ("play  some music", NEW[0], "SET an alarm", NEW[1], NEW[0].upper()))
    found = read_unlabelled(path, TEXT, (train, held_out), tokenizer, 128)
    assert found.texts == NEW[:2]
    assert found.sequences == tuple(tokenizer.encode(NEW[:2]))
    assert found.doubts == (
        f"{path}: 3 of 5 texts are left out: they are repeated, or among the labelled ones",
    )
    with pytest.raises(DataError, match="every text is among the labelled ones"):
        read_unlabelled(write(path, ("play some music",)), TEXT, (train,), tokenizer, 128)


def test_the_teacher_must_be_sure() -> None:
    logits = torch.tensor([[0.0, 9.0], [1.0, 0.5], [9.0, 0.0]])
    assert sure_labels(task_with(2), ("a", "b", "c"), logits, 0.0) == (["a", "c"], [1, 0])


def test_a_teacher_that_learnt_smoothed_labels_is_not_asked_for_more() -> None:
    """Of 150 labels smoothed by 0.1 it gives none more than 0.9007."""
    logits = torch.zeros(2, 150)
    for row, probability in enumerate((0.86, 0.7)):
        logits[row, 7] = math.log(149 * probability / (1 - probability))
    assert sure_labels(task_with(150), ("a", "b"), logits, 0.1) == (["a"], [7])
    assert sure_labels(task_with(150), ("a", "b"), logits, 0.0) == ([], [])


def test_each_is_seen_as_often_as_a_recombined_one_and_by_the_ta_before_it() -> None:
    architecture = tiny_architecture()
    real, recombined = [[2, 4, 3]] * 5, [[2, 5, 6, 3]] * 15
    none = torch.zeros(4).long()
    train = Examples(task_with(5), ([2, 7, 8, 9, 3],) * 4, none, none)
    pool = Pool((*real, *recombined), torch.zeros(20, 5), real=5)
    recipe = Recipe(pool_batch=10, pool_ta=3, ta_every=1)
    joint = JointTraining(
        NestedTransformer(architecture), tiny_students(), train, torch.zeros(4, 5), pool, train,
        recipe,
    )  # fmt: skip
    seen: Counter[str] = Counter()
    for step in range(2):  # which is once through the pool
        (inputs,) = joint.inputs(step, 0, 1)
        lengths, of_ta = inputs.shared.layout.lengths[4:], inputs.ta.layout.lengths[4:]
        seen.update("real" if length == 3 else "recombined" for length in lengths)
        there = sum(length == 3 for length in lengths)
        assert [length == 3 for length in of_ta] == [True] * min(3, there) + [False] * (3 - there)
    assert seen == {"real": 5, "recombined": 15}


def test_they_train_and_are_remembered(workshop: Workshop, train: Train) -> None:
    path = write(workshop.path / "unlabelled.jsonl", NEW)
    done = train(f"--unlabelled={path}", "--pool=0", teacher=workshop.encoder)
    assert done.status == 0, done.said
    assert "soft targets of 3 unlabelled texts and 0 recombined ones" in done.said
    checkpoint = load_checkpoint(workshop.path / "out")
    assert checkpoint.provenance["unlabelled"] == 3
    assert checkpoint.provenance["examples"] == 18
    with pytest.raises(DataError, match="3 of 3 texts are among those that"):
        refuse_training_texts(read_manifest(workshop.path / "out"), NEW, "", path)


@pytest.mark.parametrize("name", ["none.jsonl", "texts.txt"])
def test_a_file_that_cannot_be_read(workshop: Workshop, train: Train, name: str) -> None:
    (workshop.path / "texts.txt").write_text("hello\n")
    said = train(f"--unlabelled={workshop.path / name}").complaint
    assert said.startswith(f"nestling: {workshop.path / name}: ")
    assert not (workshop.path / "out.training").exists()
