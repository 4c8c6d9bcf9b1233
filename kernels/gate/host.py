"""The gate on a CPU, in numpy: for a few rows torch's operations cost more than the arithmetic.

With the largest score of a row at 0 its exponential is 1, so that the confidence is one over the
sum of all.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .reference import MARGINS, GateDecision


def decide(
    logits: NDArray[np.float32],
    temperature: NDArray[np.float32],
    threshold: NDArray[np.float32],
    margin: float = MARGINS[torch.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Labels, confidences and whether these reach the thresholds, each (rows,).

    logits: (rows, labels). temperature, threshold: (rows,). margin: the gate's for their dtype.
    """
    scores = logits / temperature[:, None]
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    confidence = 1 / exponentials.sum(axis=1)
    accept = (confidence >= threshold + np.float32(margin)) | (threshold <= 0)
    return scores.argmax(axis=1), confidence, accept


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor) -> GateDecision:
    """As the reference has it, for tensors on the CPU that need no gradient."""
    rows, margin = logits.float().numpy(), MARGINS[logits.dtype]
    return GateDecision(
        *map(torch.from_numpy, decide(rows, temperature.numpy(), threshold.numpy(), margin))
    )
