"""One temperature per student, so that its confidence is its chance of being right.

The logits are divided by the T that minimises what their task calls the surprise: of one label, the
negative log-likelihood (Guo et al. 2017, arXiv 1706.04599). The answers do not change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..heads.task import AnswerTask

LOWEST, HIGHEST = 0.05, 20.0
TOLERANCE = 1e-8
"""Of log T."""
DIGITS = 4
"""Significant ones of a temperature: the last that arithmetic could change is far behind them."""


def fit_temperature(
    task: AnswerTask, logits: Tensor, labels: Tensor, weights: Tensor | None = None
) -> float:
    """The temperature between 0.05 and 20 of least mean surprise.

    logits: (texts, labels). labels: (texts,) int64, the true answers. weights: (texts,), how much
    each text counts; None for all alike.
    A search over log T within bounds (Brent) finds the minimum where one label holds: that mean is
    convex in 1/T. Where several may, it hardly ever is not; then a minimum near the least one may
    be found, which makes confidences a little worse, and no promise.
    Raises ValueError without a text.
    """
    from scipy.optimize import minimize_scalar  # heavy: only the commands that calibrate pay for it

    if not len(labels):
        raise ValueError("a temperature needs at least one labelled text")
    z = logits.double()

    def loss(log_t: float) -> float:
        each = task.surprise(z / math.exp(log_t), labels)
        if weights is None:
            return each.mean().item()
        return (each @ weights.double() / weights.double().sum()).item()

    bounds = math.log(LOWEST), math.log(HIGHEST)
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": TOLERANCE})
    return math.exp(best.x)


def rounded(temperature: float) -> float:
    """To the digits that are the same wherever it was found."""
    return float(f"{temperature:.{DIGITS}g}")


def calibration_error(confidence: Tensor, right: Tensor, bins: int = 15) -> float:
    """Expected calibration error: mean |accuracy − confidence| over equal-width bins of
    confidence, weighted by the texts in them (Guo et al. 2017). 0 is perfect.

    confidence: (texts,) in [0, 1]. right: (texts,) bool.
    """
    index = (confidence.double() * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, index, right.double() - confidence.double())
    return gap.abs().sum().item() / len(confidence)
