"""What the transformer's parts hold: weights at full size, of which each student uses a prefix."""

from __future__ import annotations

import torch
from torch import nn

from ...kernels.prefix import Prefix, prefix


def drawn(*shape: int) -> nn.Parameter:
    """Weights to begin a training with, normal around 0 with a deviation of 0.02.

    On the meta device they have a shape and no numbers. Drawing them even so would make torch load
    its compiler, which takes as long as loading torch itself.
    """
    weight = torch.empty(shape)
    return nn.Parameter(weight if weight.is_meta else weight.normal_(std=0.02))


class Linear(nn.Module):
    """The weights of a linear layer: (outputs, inputs) and (outputs,)."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = drawn(outputs, inputs)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def prefix(self, outputs: int, inputs: int) -> Prefix:
        """Views of the leading outputs and inputs."""
        return Prefix(prefix(self.weight, outputs, inputs), prefix(self.bias, outputs))


class Norm(nn.Module):
    """The weights of a LayerNorm: scale and shift, (dim,) each."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def prefix(self, dim: int) -> Prefix:
        """Views of the leading dimensions."""
        return Prefix(prefix(self.weight, dim), prefix(self.bias, dim))
