"""What a group uses of a layer's weights: their leading part, without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor


class Prefix(NamedTuple):
    """One group's views of a layer: the leading corner of its weight, the start of its bias.

    All groups of a layer have views of the same tensors. weight: (outputs, inputs) of a linear
    layer, (width,) of a norm. bias: (outputs,) or (width,); none for RMSNorm.
    """

    weight: Tensor
    bias: Tensor | None


def widths(prefixes: Sequence[Prefix | None]) -> Iterator[tuple[int, ...]]:
    """Each group's width along each dimension of the weight, 0 where the group has no part of it:
    what kernels ask a device for.
    """
    for dimension in range(max((p.weight.dim() for p in prefixes if p is not None), default=0)):
        yield tuple(0 if p is None else p.weight.shape[dimension] for p in prefixes)


def prefix(weight: Tensor, *shape: int) -> Tensor:
    """The leading corner of this shape: a view, or the weight itself where it is the whole.

    Autograd writes the gradient of a view into a zeroed tensor of the full shape; the weight
    itself is spared that.
    """
    if weight.shape == shape:
        return weight
    return weight[tuple(slice(n) for n in shape)]
