"""Answers on held-out texts: what is written is read, and what cannot be is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nestling.models import Checkpoint, CheckpointError
from nestling.models.checkpoint.held_out import HeldOutAnswers, read_held_out, write_held_out
from nestling.models.checkpoint.manifest import HELD_OUT

from ...conftest import LABELS, task_with

TEXTS = 7
ANSWERS = HeldOutAnswers(
    task_with(len(LABELS)),
    torch.arange(TEXTS) % len(LABELS),
    torch.arange(TEXTS) + 3,
    {
        name: torch.randn(TEXTS, len(LABELS), generator=torch.Generator().manual_seed(seed))
        for seed, name in enumerate(["tiny", "small", "ta"])
    },
)


def test_what_is_written_is_read(checkpoint: Checkpoint) -> None:
    assert read_held_out(checkpoint) is None
    write_held_out(checkpoint.path, ANSWERS, checkpoint.weights_sha256)
    found = read_held_out(checkpoint)
    assert found is not None
    assert len(found) == TEXTS
    assert torch.equal(found.labels, ANSWERS.labels)
    assert torch.equal(found.tokens, ANSWERS.tokens)
    for name, logits in ANSWERS.logits.items():
        assert torch.equal(found.logits[name], logits.half().float())
        assert torch.equal(found.right[name], logits.argmax(-1) == ANSWERS.labels)


def test_they_are_of_every_student_or_none(checkpoint: Checkpoint) -> None:
    some = {name: logits for name, logits in ANSWERS.logits.items() if name != "small"}
    write_held_out(checkpoint.path, replace(ANSWERS, logits=some), checkpoint.weights_sha256)
    assert read_held_out(checkpoint) is None


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (replace(ANSWERS, labels=ANSWERS.labels + 1), "labels that are not from 0 to"),
        (replace(ANSWERS, tokens=ANSWERS.tokens + 999), "tokens that are not from 0 to"),
        (replace(ANSWERS, labels=ANSWERS.labels[:3]), "logits that are not of 3 texts"),
        (replace(ANSWERS, logits=ANSWERS.logits | {"ta": ANSWERS.logits["ta"] / 0}), "not finite"),
    ],
)
def test_what_cannot_be_is_named(
    checkpoint: Checkpoint, answers: HeldOutAnswers, message: str
) -> None:
    write_held_out(checkpoint.path, answers, checkpoint.weights_sha256)
    with pytest.raises(CheckpointError, match=f"{HELD_OUT}: .*{message}"):
        read_held_out(checkpoint)


def test_other_weights_have_other_answers(checkpoint: Checkpoint) -> None:
    write_held_out(checkpoint.path, ANSWERS, "ab" * 32)
    with pytest.raises(CheckpointError, match="of other weights"):
        read_held_out(checkpoint)


def test_a_truncated_file_is_named(checkpoint: Checkpoint) -> None:
    write_held_out(checkpoint.path, ANSWERS, checkpoint.weights_sha256)
    file = checkpoint.path / HELD_OUT
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(CheckpointError, match=HELD_OUT):
        read_held_out(checkpoint)
