"""One temperature per student, so that its confidence is its chance of being right.

p = softmax(z / T) with the T that minimises the negative log-likelihood of the labels
(Guo et al. 2017, arXiv 1706.04599). The answers do not change.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0
STEPS = 40
"""Each step shrinks the interval of log T by 0.618: 40 leave 2.6e-8 of it."""


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature between 0.05 and 20 of least mean negative log-likelihood.

    logits: (texts, labels). labels: (texts,) int64, the true classes.
    The likelihood is convex in 1/T, so golden-section search over log T finds the minimum.
    Raises ValueError without a text.
    """
    if not len(labels):
        raise ValueError("a temperature needs at least one labelled text")
    z = logits.double()

    def loss(log_t: float) -> float:
        return F.cross_entropy(z / math.exp(log_t), labels).item()

    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(LOWEST), math.log(HIGHEST)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return math.exp((low + high) / 2)


def calibration_error(confidence: Tensor, right: Tensor, bins: int = 15) -> float:
    """Expected calibration error: mean |accuracy − confidence| over equal-width bins of
    confidence, weighted by the texts in them (Guo et al. 2017). 0 is perfect.

    confidence: (texts,) in [0, 1]. right: (texts,) bool.
    """
    index = (confidence.double() * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, index, right.double() - confidence.double())
    return gap.abs().sum().item() / len(confidence)
