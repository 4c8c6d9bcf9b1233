"""Training where a text may have any number of labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nestling.models import NestlingError, Predictor, load_checkpoint
from nestling.models.checkpoint.held_out import read_held_out
from nestling.models.checkpoint.manifest import read_manifest
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import LabelColumns, read_labelled
from nestling.models.training.further.material import FurtherOptions, gather_further

from ...conftest import LABELS, multi_label_architecture
from .conftest import Train, Trained, Workshop, write_data, write_pretrained, write_sets


@pytest.fixture
def train_sets(workshop: Workshop, train: Train) -> Train:
    """`train`, on texts with any number of labels, from an encoder without a classifier."""
    write_sets(workshop.data, 40, seed=0)
    write_sets(workshop.validation, 10, seed=1)

    def run(*options: str, teacher: Path | None = None) -> Trained:
        return train(*options, teacher=teacher or workshop.encoder)

    return run


def test_from_lists_to_a_checkpoint(workshop: Workshop, train_sets: Train) -> None:
    more = workshop.path / "more.jsonl"
    more.write_text(json.dumps({"text": "book a table"}) + "\n")
    done = train_sets(f"--unlabelled={more}")
    assert done.status == 0, done.said
    assert "data: single texts, several labels each; " in done.said
    assert "differ in case" not in done.said
    assert "only probabilities name it" not in done.said
    checkpoint = load_checkpoint(workshop.path / "out")
    head = checkpoint.architecture.head()
    assert (head.task, head.labels) == ("multi_label", LABELS)
    predictor = Predictor(checkpoint, "ta")
    [decision] = predictor.predict(["play some music"])
    assert predictor.label(decision) == [
        name for i, name in enumerate(LABELS) if decision.answer.label >> i & 1
    ]
    found = read_held_out(checkpoint)
    assert found is not None
    assert 0 < len(found) <= 4
    known = read_labelled(workshop.data, labels=LabelColumns(kind="multi_label"))
    assert set(found.labels.tolist()) <= set(answers_in(known, head, workshop.data))
    for name, logits in found.logits.items():
        answers = (logits >= 0).long() @ torch.tensor([1, 2, 4, 8, 16])
        assert torch.equal(found.right[name], answers == found.labels)


def test_a_teacher_of_several_labels(workshop: Workshop, train_sets: Train) -> None:
    teacher = write_pretrained(workshop.path / "several", True, multi_label_architecture())
    done = train_sets("--task=multi_label", teacher=teacher)
    assert done.status == 0, done.said
    assert "problem_type" not in done.said
    config = json.loads((teacher / "config.json").read_text())
    del config["problem_type"]
    (teacher / "config.json").write_text(json.dumps(config))
    said = train_sets(f"--out={workshop.path / 'other'}", teacher=teacher).said
    assert "has no problem_type; its logits are taken to be of each label on its own" in said


def test_a_teacher_of_one_label_is_refused(workshop: Workshop, train_sets: Train) -> None:
    said = train_sets(teacher=workshop.teacher).complaint
    assert "config.json says 'single_label_classification', but the data have several" in said


def test_the_task_may_be_said(workshop: Workshop, train_sets: Train) -> None:
    said = train_sets("--task=several_labels").complaint
    assert "--task: 'several_labels' is not one of 'single_label', 'multi_label'" in said
    said = train_sets("--task=single_label").complaint
    assert "train.jsonl: no column 'label'; there are text, labels" in said
    for path in (workshop.data, workshop.validation):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        both = [row | {"label": LABELS[i % 5]} for i, row in enumerate(rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in both))
    assert "data: single texts, one label each; " in train_sets().said
    assert read_manifest(workshop.path / "out").architecture.head().task == "single_label"
    done = train_sets("--task=multi_label", f"--out={workshop.path / 'other'}")
    assert "data: single texts, several labels each; " in done.said
    assert read_manifest(workshop.path / "other").architecture.head().task == "multi_label"


def test_lists_in_the_column_label(workshop: Workshop, train_sets: Train) -> None:
    for path in (workshop.data, workshop.validation):
        path.write_text(path.read_text().replace('"labels"', '"label"'))
    done = train_sets()
    assert done.status == 0, done.said
    assert read_manifest(workshop.path / "out").architecture.head().task == "multi_label"


def test_a_validation_of_the_other_kind_is_refused(workshop: Workshop, train_sets: Train) -> None:
    write_data(workshop.validation, 10, seed=1)
    said = train_sets().complaint
    assert "validation.jsonl: row 1: label is the text 'alarm'; expected a list" in said


def test_texts_without_any_label_are_refused(workshop: Workshop, train_sets: Train) -> None:
    workshop.data.write_text('{"text": "play", "labels": []}\n' * 3)
    assert "train.jsonl: no text has a label; there is nothing" in train_sets().complaint


@pytest.mark.parametrize("labels", [62, 63])
def test_more_labels_than_an_answer_has_bits_are_refused(
    workshop: Workshop, train_sets: Train, labels: int
) -> None:
    rows = [{"text": f"play {i}", "labels": [f"label {i}"]} for i in range(labels)]
    workshop.data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    workshop.validation.write_text(json.dumps(rows[0]) + "\n")
    done = train_sets()
    if labels == 62:
        assert done.status == 0, done.said
        found = load_checkpoint(workshop.path / "out")
        assert len(found.architecture.head().labels) == 62
        Predictor(found).predict(["play 3"])
    else:
        assert "train.jsonl: 63 labels; multi_label has at most 62" in done.complaint


def test_further_training_is_of_one_label(
    multi_label_checkpoint_dir: Path, workshop: Workshop
) -> None:
    options = FurtherOptions(multi_label_checkpoint_dir, workshop.data, workshop.path / "out")
    with pytest.raises(NestlingError, match=r"resume-from: .* answers several labels a text; only"):
        gather_further(options)
