"""y[:, :n] = act(x[:, :k] · W[:n, :k]ᵀ + b[:n]), through views: no slice is copied."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from ..checks import check_widths
from ..prefix import prefix, rows_of

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": lambda x: x.tanh(),
}


def sliced_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    n: int,
    k: int,
    activation: str = "none",
    out: Tensor | None = None,
) -> Tensor:
    """Apply the leading n outputs and k inputs of a linear layer.

    x: (rows, at least k), floating. Columns beyond k are not read.
    weight: (N, K), the same dtype. bias: (N,). n from 1 to N, k from 1 to K.
    activation: a name in `ACTIVATIONS`.
    out: where to write, (rows, at least n); its columns beyond n are left alone.
    Returns (rows, n), or `out`. Raises ValueError for an n or k beyond the weight.
    """
    check_widths("n", (n,), weight.shape[0], 1, "the rows of weight")
    check_widths("k", (k,), min(weight.shape[1], x.shape[1]), 1, "the columns of weight and x")
    y = ACTIVATIONS[activation](F.linear(rows_of(x, k), prefix(weight, n, k), prefix(bias, n)))
    if out is None:
        return y
    out[:, :n] = y
    return out
