"""Accept where score ≥ threshold + margin, for the score that a row's threshold speaks of.

With p = softmax(z / T), and p₁ ≥ p₂ the two highest, the score is

    PROBABILITY:  p₁, the confidence;
    MARGIN:       p₁ / (p₁ + p₂) = sigmoid((z₁ − z₂) / T), as if these two labels were all.

The margin above the threshold keeps the guarantee when arithmetic is not bit-equal between batch
shapes: a row that calibration would not have accepted is not accepted here because of rounding. It
is the same for both scores: logits that are each off by ε move either by at most ε / 2T.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

PROBABILITY, MARGIN = 0.0, 1.0
"""What a threshold speaks of, in numbers."""
MARGINS = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-3}
"""Rounding noise of a score, by the dtype in which the student ran."""


class GateDecision(NamedTuple):
    """What the gate says of each row, on the logits' device.

    label: (rows,) int64. confidence: (rows,) float32, the highest probability. score: (rows,)
    float32, what the threshold is held against. accept: (rows,) bool.
    """

    label: Tensor
    confidence: Tensor
    score: Tensor
    accept: Tensor


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor, by: Tensor) -> GateDecision:
    """Decide each row on its own.

    logits: (rows, labels), the dtype in which the student ran.
    temperature: (rows,) float32, above 0 (Guo et al. 2017, arXiv 1706.04599).
    threshold: (rows,) float32. A threshold of 0 or below always accepts: the last stage.
    by: (rows,) float32, PROBABILITY or MARGIN.
    """
    label, confidence, margin = scores(logits.float(), temperature)
    score = torch.where(by == MARGIN, margin, confidence)
    accept = (score >= threshold + MARGINS[logits.dtype]) | (threshold <= 0)
    return GateDecision(label, confidence, score, accept)


def scores(logits: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Label, and the score PROBABILITY and MARGIN, each (rows,) and in the logits' dtype.

    logits: (rows, labels). temperature: (rows,) of the same dtype.
    """
    z = logits / temperature[:, None]
    highest, label = z.max(dim=-1, keepdim=True)
    odds = torch.exp(z - highest)
    runner_up = odds.scatter(1, label, 0.0).max(dim=-1).values
    return label[:, 0], 1 / odds.sum(dim=-1), 1 / (1 + runner_up)
