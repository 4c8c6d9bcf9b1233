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

    label: (rows,) int64. confidence: (rows,) float32, the highest probability. accept: (rows,)
    bool.
    """

    label: Tensor
    confidence: Tensor
    accept: Tensor


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor) -> GateDecision:
    """Decide each row on its own.

    logits: (rows, labels), the dtype in which the student ran.
    temperature: (rows,) float32, above 0 (Guo et al. 2017, arXiv 1706.04599).
    threshold: (rows,) float32. A threshold of 0 or below always accepts: the last stage.
    """
    probability = torch.softmax(logits.float() / temperature[:, None], dim=-1)
    confidence, label = probability.max(dim=-1)
    accept = (confidence >= threshold + MARGINS[logits.dtype]) | (threshold <= 0)
    return GateDecision(label, confidence, accept)
