"""The same in half precision on a CPU, rounded as on a GPU.

There it is three launches, and what each gives to the next is rounded: queries through W_k; the mix
of hidden rows, in which the weights are rounded as in `attention`; that through W_v, with its bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..attention.emulated import on_grid, real_rows, weighed
from ..layout import Layout
from ..prefix import Prefix


def pooled_attention(
    q: Tensor,
    x: Tensor,
    key: Sequence[Prefix | None],
    value: Sequence[Prefix | None],
    queries: Layout,
    keys: Layout,
    head_dim: int,
    out: Tensor | None = None,
) -> Tensor:
    """As `reference.pooled_attention`, in bfloat16 or float16."""
    if out is None:
        out = q.new_empty(len(q), max(0 if k is None else len(k.weight) for k in key))
    for group, (k, v) in enumerate(zip(key, value, strict=True)):
        if k is None or v is None or not keys.groups[group]:
            continue
        width, d = k.weight.shape
        real = real_rows(keys.parts[group])
        out[queries.rows[group], :width] = _attend(
            q[queries.rows[group], :width].reshape(len(real), -1, head_dim),
            on_grid(x[keys.rows[group], :d], real),
            k.weight.reshape(-1, head_dim, d),
            v.weight.reshape(-1, head_dim, d),
            v.bias,
            real,
        )
    return out


def _attend(
    q: Tensor, x: Tensor, w_k: Tensor, w_v: Tensor, bias: Tensor | None, real: Tensor
) -> Tensor:
    """q: (sequences, heads, head_dim). x: (sequences, longest, d), float32. w_k, w_v: (heads,
    head_dim, d). Returns (sequences, heads · head_dim).
    """

    asked = torch.einsum("shc,hcd->shd", q.float(), w_k.float()).to(q.dtype).float()
    scores = asked @ x.transpose(1, 2) * q.shape[2] ** -0.5
    mixed = weighed(scores, x, real[:, None, :], q.dtype).to(q.dtype).float()
    values = torch.einsum("shd,hcd->shc", mixed, w_v.float()).flatten(1)
    return values if bias is None else values + bias.float()
