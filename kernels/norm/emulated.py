"""The same in half precision on a CPU, rounded as on a GPU: residual and norm in float32, then one
rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..layout import Groups
from ..prefix import Prefix
from . import reference


def norm(
    x: Tensor,
    residual: Tensor | None,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    eps: float,
) -> Tensor:
    """As `reference.norm`, in bfloat16 or float16."""
    exact = [None if each is None else each.in_float32() for each in prefixes]
    added = None if residual is None else residual.float()
    return reference.norm(x.float(), added, exact, rows, eps).to(x.dtype)
