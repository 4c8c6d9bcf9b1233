"""y[rows_g, :n_g] = act(x[rows_g, :k_g] · W[:n_g, :k_g]ᵀ + b[:n_g]) for each group g.

The weight is read in place, through views: no group owns a copy of its slice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from ..prefix import prefix

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": lambda x: x.tanh(),
}


def grouped_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Sequence[slice],
    n: Sequence[int],
    k: Sequence[int],
    activation: str = "none",
) -> Tensor:
    """Apply a prefix of one weight to each group of rows.

    x: (rows, at least max k), floating. Columns of a group beyond its k are not read.
    weight: (N, K), the same dtype. bias: (N,).
    rows: each group's rows, in order. n, k: each group's output and input width;
    a group with n = 0 is skipped.
    Returns (rows, max n). What a group holds beyond its n is unspecified.
    """
    act = ACTIVATIONS[activation]
    if len(rows) == 1:  # no copy into a shared result when there is nobody to share it with
        return act(_linear(x, weight, bias, n[0], k[0]))
    y = x.new_empty(len(x), max(n))
    for r, n_g, k_g in zip(rows, n, k, strict=True):
        if n_g and r.stop > r.start:
            y[r, :n_g] = act(_linear(x[r], weight, bias, n_g, k_g))
    return y


def _linear(x: Tensor, weight: Tensor, bias: Tensor, n: int, k: int) -> Tensor:
    return F.linear(prefix(x, len(x), k), prefix(weight, n, k), prefix(bias, n))
