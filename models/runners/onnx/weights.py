"""Slices of the TA's weights as a graph holds them: copies, transposed where a product reads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....kernels.prefix import Prefix


class GraphLinear(nn.Module):
    """y = x · W + b. x: (…, inputs) float32. Returns (…, outputs)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Buffer(own(weight))
        self.bias = nn.Buffer(own(bias))

    @classmethod
    def of(cls, linear: Prefix, scale: float = 1.0) -> GraphLinear:
        """A student's part of the TA's."""
        return cls(linear.weight.T * scale, bias_of(linear) * scale)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class GraphNorm(nn.Module):
    """LayerNorm of the last axis."""

    def __init__(self, norm: Prefix, eps: float) -> None:
        super().__init__()
        self.weight = nn.Buffer(own(norm.weight))
        self.bias = nn.Buffer(own(bias_of(norm)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def own(weight: Tensor) -> Tensor:
    """A contiguous float32 copy on the CPU."""
    return weight.detach().to("cpu", torch.float32, copy=True).contiguous()


def bias_of(part: Prefix) -> Tensor:
    """The bias, which every part of a graph has."""
    if part.bias is None:
        raise ValueError("a layer without a bias has no graph yet")
    return part.bias
