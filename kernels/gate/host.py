"""The gate on a CPU, in numpy: for a few rows torch's operations cost more than the arithmetic.

With the largest score of a row at 0 its exponential is 1, so that the confidence is one over the
sum of all. Statistics that serving does not read are the reference's.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import reference
from .reference import MARGINS, GateDecision


class _Decided:
    def __init__(self, given: tuple[Tensor, Tensor, Tensor]) -> None:
        logits, temperature, threshold = given
        self._given = given
        scores: NDArray[np.float32] = logits.float().numpy() / temperature.numpy()[:, None]
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        bound, confidence = threshold.numpy(), 1 / exponentials.sum(axis=1)
        accept = (confidence >= bound + np.float32(MARGINS[logits.dtype])) | (bound <= 0)
        self.label = torch.from_numpy(scores.argmax(axis=1))
        self.confidence, self.accept = torch.from_numpy(confidence), torch.from_numpy(accept)

    @cached_property
    def _reference(self) -> GateDecision:
        return reference.gate(*self._given)

    @property
    def runner_up(self) -> Tensor:
        return self._reference.runner_up

    @property
    def entropy(self) -> Tensor:
        return self._reference.entropy

    @property
    def escalated(self) -> Tensor:
        return self._reference.escalated

    @property
    def escalations(self) -> Tensor:
        return self._reference.escalations


def gate(logits: Tensor, temperature: Tensor, threshold: Tensor) -> GateDecision:
    """As the reference has it, for tensors on the CPU that need no gradient."""
    return _Decided((logits, temperature, threshold))
