"""Operations on nested prefixes: tensors in, tensors out, nothing of models or servers.

One folder per operation. Each holds `reference.py`, the readable definition in plain torch;
a faster implementation of the same operation stands beside it in the same folder, and
`operations.py` says which of them runs where.
"""

from .attention import attention
from .gate import GateDecision, gate
from .layout import Groups, Indices, Layout
from .linear import ACTIVATIONS, linear
from .norm import norm
from .operations import REFERENCE, Operations, operations_for, triton_operations
from .pooled_attention import pooled_attention
from .prefix import Prefix, prefix, widths
from .upload import upload

__all__ = [
    "ACTIVATIONS",
    "REFERENCE",
    "GateDecision",
    "Groups",
    "Indices",
    "Layout",
    "Operations",
    "Prefix",
    "attention",
    "gate",
    "linear",
    "norm",
    "operations_for",
    "pooled_attention",
    "prefix",
    "triton_operations",
    "upload",
    "widths",
]
