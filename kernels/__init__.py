"""Operations on nested prefixes: tensors in, tensors out, nothing of models or servers.

One folder per operation. Each holds `reference.py`, the readable definition in plain torch;
a faster implementation of the same operation stands beside it in the same folder.
"""

from .gate import GateDecision, gate
from .grouped_attention import grouped_attention
from .grouped_linear import grouped_linear
from .grouped_norm import grouped_add_norm
from .layout import Layout
from .pooled_attention import pooled_attention
from .prefix import prefix

__all__ = [
    "GateDecision",
    "Layout",
    "gate",
    "grouped_add_norm",
    "grouped_attention",
    "grouped_linear",
    "pooled_attention",
    "prefix",
]
