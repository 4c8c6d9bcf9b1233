"""Scores of all labels: those of the student whose answer stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from ....models.cascade.decisions import Decision


class LabelScore(TypedDict):
    """One label's score."""

    score: float
    label: str


def probabilities(decisions: Sequence[Decision]) -> NDArray[np.float32]:
    """Calibrated, (texts, labels)."""
    temperatures = np.array([d.answer.stage.student.temperature for d in decisions], np.float32)
    scaled = logits(decisions) / temperatures[:, None]
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def logits(decisions: Sequence[Decision]) -> NDArray[np.float32]:
    """As the student gave them, (texts, labels)."""
    return np.stack([d.logits for d in decisions if d.logits is not None])


def ranked(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    decisions: Sequence[Decision],
    most: int | None = None,
) -> list[list[LabelScore]]:
    """Each text's labels, highest score first; none of a text that was answered without a label.

    scores: (texts, labels), of these decisions. most: how many labels; None for all.
    """
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :most]
    values = np.take_along_axis(scores, order, axis=-1)
    return [
        []
        if decision.abstained
        else [
            {"score": round(value, 6), "label": labels[label]}
            for value, label in zip(row, indices, strict=True)
        ]
        for decision, row, indices in zip(decisions, values.tolist(), order.tolist(), strict=True)
    ]
