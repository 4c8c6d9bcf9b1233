"""Accept where score ≥ threshold + margin, for the score that a row's threshold speaks of, unless
the row lies outside its scope.

With x = z / T, p = softmax(x), p₁ ≥ p₂ the two highest, and K labels, the score is

    PROBABILITY:  p₁, the confidence;
    MARGIN:       p₁ / (p₁ + p₂) = sigmoid(x₁ − x₂), as if these two labels were all;
    ENTROPY:      1 − H(p) / log K, with H(p) = −Σ p log p;
    ENERGY:       (1 + e / (1 + |e|)) / 2, with e = log Σ exp(x): the negative energy of Liu et al.
                  (2020, arXiv 2010.03759) over T.

The last says how much evidence there is for any label at all: a row whose energy is below its
scope is outside, and is never accepted, whatever its score. Its mapping to between 0 and 1 needs no
scale of the logits, and wastes none of float32: at e = 30, where a sigmoid would be 1, a step of
0.02 still moves it by 10⁻⁵.

The margin above threshold and scope keeps the guarantee when arithmetic is not bit-equal between
batch shapes: a row that calibration would not have accepted is not accepted here because of
rounding. It is the same for all scores, since rounding moves them alike. Logits that are each off
by ε move the first two by at most ε / 2T; e by at most ε / T, and so the last by at most ε / 2T,
for the mapping is nowhere steeper than ½; and the entropy by Σ p |log p + H(p)| · ε / (T log K),
which is at most 0.65 ε / T.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .codes import ENERGY, ENTROPY, MARGIN, MARGIN_IN, per_surprise

MARGINS: dict[torch.dtype, float] = {getattr(torch, name): m for name, m in MARGIN_IN.items()}
"""Those of `MARGIN_IN`, by torch's names."""


class GateDecision(NamedTuple):
    """What the gate says of each row, on the logits' device.

    label: (rows,) int64. confidence: (rows,) float32, the highest probability. score: (rows,)
    float32, what the threshold is held against. accept: (rows,) bool. energy: (rows,) float32, the
    score of that name, what the scope is held against. inside: (rows,) bool, whether it reaches it.
    """

    label: Tensor
    confidence: Tensor
    score: Tensor
    accept: Tensor
    energy: Tensor
    inside: Tensor


class Scores(NamedTuple):
    """All scores of each row by name, (rows,) each, in the logits' dtype; label is int64."""

    label: Tensor
    probability: Tensor
    margin: Tensor
    entropy: Tensor
    energy: Tensor


def gate(
    logits: Tensor, temperature: Tensor, threshold: Tensor, by: Tensor, scope: Tensor
) -> GateDecision:
    """Decide each row on its own.

    logits: (rows, labels), the dtype in which the student ran.
    temperature: (rows,) float32, above 0 (Guo et al. 2017, arXiv 1706.04599).
    threshold: (rows,) float32. 0 or below accepts whatever is inside: the last stage.
    by: (rows,) float32, which score.
    scope: (rows,) float32, the energy from which a row is inside; at 0 or below all are.
    """
    found = scores(logits.float(), temperature)
    return decided(found, MARGINS[logits.dtype], threshold, by, scope)


def decided(
    found: Scores, margin: float, threshold: Tensor, by: Tensor, scope: Tensor
) -> GateDecision:
    """What follows from a row's scores."""
    score = found.probability
    for code, each in ((MARGIN, found.margin), (ENTROPY, found.entropy), (ENERGY, found.energy)):
        score = torch.where(by == code, each, score)
    inside = (found.energy >= scope + margin) | (scope <= 0)
    accept = ((score >= threshold + margin) | (threshold <= 0)) & inside
    return GateDecision(found.label, found.probability, score, accept, found.energy, inside)


def scores(logits: Tensor, temperature: Tensor) -> Scores:
    """logits: (rows, labels). temperature: (rows,) of the same dtype."""
    z = logits / temperature[:, None]
    highest, label = z.max(dim=-1, keepdim=True)
    below = z - highest
    odds = torch.exp(below)
    total = odds.sum(dim=-1)
    runner_up = odds.scatter(1, label, 0.0).max(dim=-1).values
    surprise = torch.log(total) - (odds * below).sum(dim=-1) / total
    entropy = (1 - surprise * per_surprise(logits.shape[1])).clamp(min=0)
    e = highest[:, 0] + torch.log(total)
    energy = 0.5 + 0.5 * e / (1 + e.abs())
    return Scores(label[:, 0], 1 / total, 1 / (1 + runner_up), entropy, energy)
