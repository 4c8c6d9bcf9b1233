"""p = softmax(z / T); confidence = max p; accept where confidence ≥ threshold + margin.

The margin keeps the guarantee when arithmetic is not bit-equal between batch shapes: a row
that calibration would not have accepted is not accepted here because of rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MARGINS = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-3}
"""Rounding noise of a confidence, by the dtype in which the student ran."""


class GateDecision(NamedTuple):
    """What the gate says of each row, on the logits' device.

    label: (rows,) int64. confidence: (rows,) float32, the highest probability. runner_up: (rows,)
    float32, the second highest; 0 if there is one label only. entropy: (rows,) float32, in nats.
    accept: (rows,) bool. escalated: (rows,) int64, the rows not accepted, in order, then −1.
    escalations: () int64, how many those are.
    """

    label: Tensor
    confidence: Tensor
    runner_up: Tensor
    entropy: Tensor
    accept: Tensor
    escalated: Tensor
    escalations: Tensor


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor) -> GateDecision:
    """Decide each row on its own.

    logits: (rows, labels), the dtype in which the student ran.
    temperature: (rows,) float32, above 0 (Guo et al. 2017, arXiv 1706.04599).
    threshold: (rows,) float32. A threshold of 0 or below always accepts: the last stage.
    """
    scores = logits.float() / temperature[:, None]
    probability = torch.softmax(scores, dim=-1)
    best, labels = probability.topk(min(2, logits.shape[1]), dim=-1)
    confidence = best[:, 0]
    runner_up = best[:, 1] if logits.shape[1] > 1 else torch.zeros_like(confidence)
    # H = log Σ exp z − Σ p z, and log Σ exp z = z_max − log p_max
    highest = scores.gather(1, labels[:, :1])[:, 0]
    entropy = highest - confidence.log() - (probability * scores).sum(dim=-1)
    accept = (confidence >= threshold + MARGINS[logits.dtype]) | (threshold <= 0)
    order = torch.argsort(accept, stable=True)  # false before true
    escalations = (~accept).sum()
    place = torch.arange(len(order), device=order.device)
    escalated = torch.where(place < escalations, order, -1)
    return GateDecision(
        labels[:, 0], confidence, runner_up, entropy, accept, escalated, escalations
    )
