"""p = softmax(z / T); confidence = max p; accept where confidence ≥ threshold + margin.

The margin keeps the guarantee when arithmetic is not bit-equal between batch shapes: a row
that calibration would not have accepted is not accepted here because of rounding.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

MARGINS = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-3}
"""Rounding noise of a confidence, by the dtype in which the student ran."""


FIELDS = ("label", "confidence", "accept", "runner_up", "entropy", "escalated", "escalations")


class GateDecision(Protocol):
    """What the gate says of each row, on the logits' device.

    label: (rows,) int64. confidence: (rows,) float32, the highest probability. accept: (rows,)
    bool. runner_up: (rows,) float32, the second highest; 0 if there is one label only. entropy:
    (rows,) float32, in nats. escalated: (rows,) int64, the rows not accepted, in order, then −1.
    escalations: () int64, how many those are.
    """

    @property
    def label(self) -> Tensor: ...
    @property
    def confidence(self) -> Tensor: ...
    @property
    def accept(self) -> Tensor: ...
    @property
    def runner_up(self) -> Tensor: ...
    @property
    def entropy(self) -> Tensor: ...
    @property
    def escalated(self) -> Tensor: ...
    @property
    def escalations(self) -> Tensor: ...


class _Decided:
    """Computes what is asked for: beside a small student, statistics that nobody reads cost."""

    def __init__(self, scores: Tensor, threshold: Tensor, margin: float) -> None:
        self._scores = scores
        self._probability = torch.softmax(scores, dim=-1)
        self.confidence, self.label = self._probability.max(dim=-1)
        self.accept = (self.confidence >= threshold + margin) | (threshold <= 0)

    @property
    def runner_up(self) -> Tensor:
        if self._probability.shape[1] == 1:
            return torch.zeros_like(self.confidence)
        return self._probability.topk(2, dim=-1).values[:, 1]

    @property
    def entropy(self) -> Tensor:
        # H = log Σ exp z − Σ p z
        mean = (self._probability * self._scores).sum(dim=-1)
        return torch.logsumexp(self._scores, dim=-1) - mean

    @property
    def escalated(self) -> Tensor:
        order = torch.argsort(self.accept, stable=True)  # false before true
        place = torch.arange(len(order), device=order.device)
        return torch.where(place < self.escalations, order, -1)

    @property
    def escalations(self) -> Tensor:
        return (~self.accept).sum()


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor) -> GateDecision:
    """Decide each row on its own.

    logits: (rows, labels), the dtype in which the student ran.
    temperature: (rows,) float32, above 0 (Guo et al. 2017, arXiv 1706.04599).
    threshold: (rows,) float32. A threshold of 0 or below always accepts: the last stage.
    """
    scores = logits.float() / temperature[:, None]
    return _Decided(scores, threshold, MARGINS[logits.dtype])
