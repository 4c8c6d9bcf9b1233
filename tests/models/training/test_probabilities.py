"""Training on probabilities: they are what is learnt of the labels."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from nestling.models import load_checkpoint

from ...conftest import LABELS, task_with
from .conftest import Train, Workshop


def rewrite(workshop: Workshop, sure: float, keep_label: bool = True) -> None:
    """Each row of the training texts with probabilities: `sure` its label, the rest the next."""
    lines = []
    for line in workshop.data.read_text().splitlines():
        row = json.loads(line)
        other = LABELS[(LABELS.index(row["label"]) + 1) % len(LABELS)]
        row["llm"] = {row["label"]: sure, other: 1 - sure}
        if not keep_label:
            del row["label"]
        lines.append(json.dumps(row))
    workshop.data.write_text("\n".join(lines) + "\n")


def test_a_probability_of_one_is_a_label() -> None:
    torch.manual_seed(0)
    task = task_with(5)
    logits, labels = torch.randn(7, 5), torch.randint(5, (7,))
    table = torch.nn.functional.one_hot(labels, 5).float()
    for smoothing in (0.0, 0.1):
        torch.testing.assert_close(
            task.label_loss(logits, table, smoothing), task.label_loss(logits, labels, smoothing)
        )


@pytest.mark.parametrize("keep_label", [True, False])
def test_they_are_learnt(workshop: Workshop, train: Train, keep_label: bool) -> None:
    weights = []
    for sure in (0.6, 0.9):
        out = workshop.path / f"out-{sure}"
        train_rows = workshop.data.read_text()
        rewrite(workshop, sure, keep_label)
        done = train("--probabilities=llm", f"--out={out}", teacher=workshop.encoder)
        assert done.status == 0, done.said
        assert load_checkpoint(out).architecture.head().labels == LABELS
        assert load_checkpoint(out).provenance["probabilities"] == "llm"
        weights.append(load_file(out / "model.safetensors"))
        workshop.data.write_text(train_rows)
    assert not all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_labels_that_they_contradict_are_told(workshop: Workshop, train: Train) -> None:
    rewrite(workshop, 0.3)
    done = train("--probabilities=llm")
    assert "20 of 20 rows have another label than the most probable one: row 1 has 'alarm', but " \
        "'money' is the most probable. The probabilities are learnt" in done.said  # fmt: skip


def test_a_label_that_only_probabilities_name(workshop: Workshop, train: Train) -> None:
    row = {"text": "hello there", "label": "music", "llm": {"music": 0.8, "smalltalk": 0.2}}
    with workshop.data.open("a") as file:
        file.write(json.dumps(row) + "\n")
    rewritten = train("--probabilities=llm", teacher=workshop.encoder)
    assert "no text has the label smalltalk; only probabilities name it" in rewritten.said
    assert "smalltalk" in load_checkpoint(workshop.path / "out").architecture.head().labels
    refused = train("--probabilities=llm", f"--out={workshop.path / 'other'}")
    assert "row 21: label 'smalltalk' is none of the 5 known labels" in refused.complaint


def test_names_that_look_alike(workshop: Workshop, train: Train) -> None:
    row = {"text": "hello", "label": "music", "llm": {"music": 0.8, "money ": 0.2}}
    with workshop.data.open("a") as file:
        file.write(json.dumps(row) + "\n")
    said = train("--probabilities=llm", teacher=workshop.encoder).complaint
    assert "row 21: label 'money ' looks like 'money' of row 2" in said
