"""Operations on nested prefixes: tensors in, tensors out, nothing of models or servers.

One folder per operation. Each holds `reference.py`, the readable definition in plain torch;
a faster implementation of the same operation stands beside it in the same folder, and
`operations.py` says which of them runs where.
"""

from .attention import grouped_attention
from .gate import GateDecision, gate
from .groups import Groups
from .layout import Layout
from .linear import grouped_linear
from .norm import grouped_add_norm
from .operations import REFERENCE, Operations, operations_for, triton_operations
from .pooled_attention import pooled_attention
from .prefix import prefix
from .sliced_linear import ACTIVATIONS, sliced_linear

__all__ = [
    "ACTIVATIONS",
    "REFERENCE",
    "GateDecision",
    "Groups",
    "Layout",
    "Operations",
    "gate",
    "grouped_add_norm",
    "grouped_attention",
    "grouped_linear",
    "operations_for",
    "pooled_attention",
    "prefix",
    "sliced_linear",
    "triton_operations",
]
