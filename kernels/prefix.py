"""The leading part of a weight, without a copy; and of rows that a product reads."""

from __future__ import annotations

import torch
from torch import Tensor


def prefix(weight: Tensor, *shape: int) -> Tensor:
    """The leading corner of this shape: a view, or the weight itself where it is the whole.

    Autograd writes the gradient of a view into a zeroed tensor of the full shape; the weight
    itself is spared that.
    """
    if weight.shape == shape:
        return weight
    return weight[tuple(slice(n) for n in shape)]


def rows_of(x: Tensor, k: int) -> Tensor:
    """The leading k columns of x (rows, at least k), as a matrix product may take them.

    oneDNN's bfloat16 products on processors with AMX read rows in blocks that reach beyond k, and
    multiply what stands there by zero: NaN, where that is memory nobody has written. So in half
    precision, on a CPU, a prefix of wider rows is copied; elsewhere it is a view.
    """
    part = prefix(x, len(x), k)
    if x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16):
        return part.contiguous()
    return part
