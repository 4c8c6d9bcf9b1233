"""Scores of all labels: those of the student whose answer stands."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import TypedDict

from ...models.decision import Decision


class Score(TypedDict):
    """One label's score."""

    score: float
    label: str


def probabilities(decisions: Sequence[Decision]) -> Tensor:
    """Calibrated, (texts, labels) float32."""
    temperatures = torch.tensor([d.answer.stage.student.temperature for d in decisions])
    return torch.softmax(logits(decisions) / temperatures[:, None], dim=-1)


def logits(decisions: Sequence[Decision]) -> Tensor:
    """As the student gave them, (texts, labels) float32."""
    return torch.stack([d.logits for d in decisions if d.logits is not None])


def ranked(scores: Tensor, labels: Sequence[str], most: int | None = None) -> list[list[Score]]:
    """Each text's labels, highest score first. most: how many of them; None for all."""
    values, order = scores.sort(dim=-1, descending=True)
    return [
        [
            {"score": round(value, 6), "label": labels[label]}
            for value, label in zip(row, indices, strict=True)
        ]
        for row, indices in zip(values[:, :most].tolist(), order[:, :most].tolist(), strict=True)
    ]
