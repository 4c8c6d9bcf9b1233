"""What a GPU computes in half precision, on a CPU: each operation reads bfloat16 or float16,
computes in float32 and rounds where the kernels round.

For calibrating where there is no GPU. torch's own products in half precision round more often, and
are slow on processors that have no instructions for them. Sums go in another order than on a GPU,
which the gate's margin allows for.
"""

from __future__ import annotations

from dataclasses import replace

from .attention import emulated as attentions
from .linear import emulated as linears
from .norm import emulated as norms
from .operations import HOST
from .pooled_attention import emulated as pooled_attentions

EMULATED = replace(
    HOST,
    linear=linears.linear,
    norm=norms.norm,
    attention=attentions.attention,
    pooled_attention=pooled_attentions.pooled_attention,
)
"""Forward only."""
