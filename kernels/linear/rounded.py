"""The linear layer of training: products of about as many rows run the same code.

In bfloat16 on a CPU, oneDNN compiles a product for each number of rows that it meets, which takes
about as long as some of these products, and keeps a thousand of them in memory. Packed batches
hardly ever have as many rows as an earlier one. So rows of zeros are added up to one of 16 numbers
per power of two, at most a sixteenth more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layout import Groups
from ..prefix import Prefix
from . import reference

FEWEST = 8
"""The step between two numbers of rows is at least this."""


def linear(
    x: Tensor,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    activation: str = "none",
    out: Tensor | None = None,
) -> Tensor:
    """As the reference; of one group alone, under autocast on a CPU, rows are rounded up."""
    alone = len(prefixes) == 1 and prefixes[0] is not None and out is None
    if not alone or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return reference.linear(x, prefixes, rows, activation, out)
    count = rounded(len(x))
    whole = F.pad(x, (0, 0, 0, count - len(x)))
    return reference.linear(whole, prefixes, Groups([0, count]), activation)[: len(x)]


def rounded(rows: int) -> int:
    """The number of rows that a product of so many runs with."""
    step = max(FEWEST, 1 << max(0, rows.bit_length() - 5))
    return -(-rows // step) * step
