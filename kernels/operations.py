"""Which implementation of the operations runs where: chosen once, by device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from .attention import attention
from .gate import host_tensors
from .gate.reference import GateDecision, gate
from .linear import linear, rounded
from .norm import norm
from .pooled_attention import pooled_attention
from .set_gate.reference import set_gate


@dataclass(frozen=True)
class Operations:
    """All that a nested transformer computes with; each as its reference documents it."""

    linear: Callable[..., Tensor]
    norm: Callable[..., Tensor]
    attention: Callable[..., Tensor]
    pooled_attention: Callable[..., Tensor]
    gate: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], GateDecision]
    set_gate: Callable[..., GateDecision]


REFERENCE = Operations(linear, norm, attention, pooled_attention, gate, set_gate)
"""Plain torch: any device, and the only kind that can be trained."""
TRAINING = replace(REFERENCE, linear=rounded.linear)
"""What trains: the same, as fast as oneDNN can be where batches have another size each time."""
HOST = replace(REFERENCE, gate=host_tensors.gate)


def operations_for(device: torch.device) -> Operations:
    """What serves on a device: Triton on CUDA, plain torch elsewhere, but for the gate on CPUs.

    Raises ModuleNotFoundError on CUDA if Triton is not installed (the extra `gpu`).
    """
    if device.type == "cuda":
        return triton_operations()
    return HOST if device.type == "cpu" else REFERENCE


@cache
def triton_operations() -> Operations:
    """The kernels in Triton, and attention in half precision by torch. Forward only."""
    from .attention import varlen
    from .gate import triton as gates
    from .linear import triton as linears
    from .norm import triton as norms
    from .pooled_attention import triton as pooled

    return Operations(
        linear=linears.linear,
        norm=norms.norm,
        attention=varlen.attention,
        pooled_attention=pooled.pooled_attention,
        gate=gates.gate,
        set_gate=set_gate,
    )
