"""A residual and the LayerNorm after it, as `kernels.norm` computes them."""

from __future__ import annotations

from ...nested.architecture import Architecture
from .assembly import Assembly
from .weights import Weights, vector


def add_and_norm(
    to: Assembly, weights: Weights, a: Architecture, x: str, more: str, norm: str, dim: int
) -> str:
    """LayerNorm of x + more. x, more: (rows, dim). norm: what its weights are called.

    ONNX Runtime's SkipLayerNormalization does both, and takes longer than the two on a CPU.
    """
    scale, shift = f"{norm}.weight", f"{norm}.bias"
    inputs = [
        to.add("Add", [x, more], f"{norm}.sum"),
        to.constant(scale, vector(weights, scale, dim)),
        to.constant(shift, vector(weights, shift, dim)),
    ]
    return to.add("LayerNormalization", inputs, norm, epsilon=a.norm_eps)
