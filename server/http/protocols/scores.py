"""Scores of all labels: those of the student whose answer stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from ...core.requests import Answers


class LabelScore(TypedDict):
    """One label's score."""

    score: float
    label: str


def probabilities(answers: Answers) -> NDArray[np.float32]:
    """Calibrated, (texts, labels)."""
    stages = answers.each(lambda decisions: decisions.stages)
    temperatures = np.array([stage.student.temperature for stage in stages], np.float32)
    scaled = logits(answers) / temperatures[:, None]
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def logits(answers: Answers) -> NDArray[np.float32]:
    """As the student gave them, (texts, labels)."""
    if len(answers.parts) == 1:
        return answers.parts[0].logits
    found = np.concatenate([part.logits for part in answers.parts])
    return found if answers.order is None else found[list(answers.order)]


def ranked(
    scores: NDArray[np.float32],
    labels: Sequence[str],
    abstained: Sequence[bool],
    most: int | None = None,
) -> list[list[LabelScore]]:
    """Each text's labels, highest score first; none of a text that was answered without a label.

    scores: (texts, labels). abstained: which texts those are. most: how many labels; None for all.
    """
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :most]
    values = np.take_along_axis(scores, order, axis=-1)
    columns = zip(abstained, rounded(values), order.tolist(), strict=True)
    return [
        []
        if without
        else [
            {"score": value, "label": labels[label]}
            for value, label in zip(row, indices, strict=True)
        ]
        for without, row, indices in columns
    ]


def rounded(values: NDArray[np.float32]) -> Any:
    """As `round(value, 6)` has each: a float32 times a million is exact in float64."""
    return (np.rint(values.astype(np.float64) * 1e6) / 1e6).tolist()
