"""The gate on a CPU, in numpy: for a few rows torch's operations cost more than the arithmetic.

With the largest logit of a row at 0 its odds are 1, so that the confidence is one over the sum of
all odds, and the other score one over 1 and the odds of the runner-up.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .reference import MARGIN, MARGINS, GateDecision

Floats = NDArray[np.float32]


def decide(
    logits: Floats,
    temperature: Floats,
    threshold: Floats,
    by: Floats,
    margin: float = MARGINS[torch.float32],
) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[np.bool_]]:
    """Labels, confidences, scores and whether these reach the thresholds, each (rows,).

    logits: (rows, labels). temperature, threshold, by: (rows,). margin: the gate's for their dtype.
    """
    z = logits / temperature[:, None]
    label = z.argmax(axis=1)
    odds = np.exp(z - z.max(axis=1, keepdims=True))
    score = confidence = 1 / odds.sum(axis=1)
    if by.any():
        odds[np.arange(len(odds)), label] = 0
        score = np.where(by == MARGIN, 1 / (1 + odds.max(axis=1)), confidence)
    accept = (score >= threshold + np.float32(margin)) | (threshold <= 0)
    return label, confidence, score, accept


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor, by: Tensor) -> GateDecision:
    """As the reference has it, for tensors on the CPU that need no gradient."""
    rows, margin = logits.float().numpy(), MARGINS[logits.dtype]
    decided = decide(rows, temperature.numpy(), threshold.numpy(), by.numpy(), margin)
    return GateDecision(*map(torch.from_numpy, decided))
