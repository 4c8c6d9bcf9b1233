"""The same in half precision on a CPU, rounded as on a GPU: product, bias and activation in
float32, then one rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..layout import Groups
from ..prefix import Prefix
from . import reference


def linear(
    x: Tensor,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    activation: str = "none",
    out: Tensor | None = None,
) -> Tensor:
    """As `reference.linear`, in bfloat16 or float16."""
    exact = [None if each is None else each.in_float32() for each in prefixes]
    return reference.linear(x.float(), exact, rows, activation, out).to(x.dtype)
