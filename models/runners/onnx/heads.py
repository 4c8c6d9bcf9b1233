"""From the first tokens' rows to logits, as `models/nested/heads.py` has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...nested.heads import HeadPrefix
from .weights import GraphLinear


class GraphHead(nn.Module):
    """Pooler and classifier. temperature: by which the logits are divided."""

    def __init__(self, part: HeadPrefix, temperature: float) -> None:
        super().__init__()
        self.pooler = GraphLinear.of(part.pooler)
        self.classifier = GraphLinear.of(part.classifier, 1 / temperature)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, dim). Returns (batch, labels)."""
        logits: Tensor = self.classifier(torch.tanh(self.pooler(x)))
        return logits
