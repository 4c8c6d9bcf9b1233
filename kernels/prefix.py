"""The leading part of a weight, without a copy."""

from __future__ import annotations

from torch import Tensor


def prefix(weight: Tensor, *shape: int) -> Tensor:
    """The leading corner of this shape: a view, or the weight itself where it is the whole.

    Autograd writes the gradient of a view into a zeroed tensor of the full shape; the weight
    itself is spared that.
    """
    if weight.shape == shape:
        return weight
    return weight[tuple(slice(n) for n in shape)]
