"""y[rows_g, :n_g] = act(x[rows_g, :k_g] · W[:n_g, :k_g]ᵀ + b[:n_g]) for each group g.

The weight is read in place, through views: no group owns a copy of its slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layout import Groups
from ..prefix import Prefix

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


def linear(
    x: Tensor,
    prefixes: Sequence[Prefix | None],
    rows: Groups,
    activation: str = "none",
    out: Tensor | None = None,
) -> Tensor:
    """Apply each group's prefix of one weight to its rows.

    x: (rows, at least the widest input), floating. Columns beyond a group's inputs are not read.
    prefixes: each group's views of one weight (N, K) and bias (N,), of the same dtype; none where
    the group is skipped. rows: which rows belong to which group.
    activation: a name in `ACTIVATIONS`.
    out: where to write, (rows, at least the widest output); columns beyond a group's outputs are
    left alone.
    Returns (rows, widest output), or `out`. What a group holds beyond its outputs is unspecified in
    the former.
    """
    act = ACTIVATIONS[activation]
    if len(prefixes) == 1 and prefixes[0] is not None and out is None:
        weight, bias = prefixes[0]  # no other group shares the result
        return act(F.linear(_leading(x, weight.shape[1]), weight, bias))
    if out is None:
        out = x.new_empty(len(x), max(0 if p is None else len(p.weight) for p in prefixes))
    for group, each in zip(rows, prefixes, strict=True):
        if each is not None and group.stop > group.start:
            part = _leading(x[group], each.weight.shape[1])
            out[group, : len(each.weight)] = act(F.linear(part, each.weight, each.bias))
    return out


def _leading(x: Tensor, k: int) -> Tensor:
    """The leading k columns of x (rows, at least k), as a matrix product may take them.

    oneDNN's bfloat16 products on processors with AMX read rows in blocks that reach beyond k, and
    multiply what stands there by zero, which gives NaN where nobody has written to that memory. So
    in half precision, on a CPU, a prefix of wider rows is copied; elsewhere it is a view.
    """
    if x.shape[1] > k:
        x = x[:, :k]
    if x.dtype in (torch.bfloat16, torch.float16) and x.device.type == "cpu":
        return x.contiguous()
    return x
