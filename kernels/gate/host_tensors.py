"""The gate in NumPy, for those who hold tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from .host import decide
from .reference import MARGINS, GateDecision


def gate(
    logits: Tensor, temperature: Tensor, threshold: Tensor, by: Tensor, scope: Tensor
) -> GateDecision:
    """As the reference has it, for tensors on the CPU that need no gradient."""
    rows, margin = logits.float().numpy(), MARGINS[logits.dtype]
    of_rows = temperature.numpy(), threshold.numpy(), by.numpy(), scope.numpy()
    return GateDecision(*map(torch.from_numpy, decide(rows, *of_rows, margin)))
