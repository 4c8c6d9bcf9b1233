"""Attention, and that of one query per text, against the reference in float64 on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from nestling.kernels.attention import attention
from nestling.kernels.layout import Layout
from nestling.kernels.pooled_attention import pooled_attention
from nestling.kernels.prefix import Prefix

from ..devices import Random, operations_on
from ..record import Named, Row
from .check import BOUNDS, NAN, check, dtypes, relative_error, same

LENGTHS = (3, 1, 17, 64, 65, 2, 12, 12)
GROUPS = (3, 0, 5)
HEADS = (4, 2, 1)
HEAD_DIMS = (64, 32, 16)
FACTOR = 2
"""Of one product's bound: two products and a softmax, whose weights are rounded in between."""


def checks(device: torch.device) -> list[Named]:
    named: list[Named] = []
    for dtype in dtypes():
        for head_dim in HEAD_DIMS:
            for title, run in (("attention", attended), ("pooled attention", pooled)):
                named.append((f"{title} {dtype} {head_dim}", partial(run, device, dtype, head_dim)))
        named.append((f"attention alone {dtype}", partial(attended_alone, device, dtype)))
        named.append((f"pooled attention alone {dtype}", partial(pooled_alone, device, dtype)))
    return named


def exactly(prefixes: Sequence[Prefix]) -> list[Prefix]:
    """In float64, on the CPU."""
    return [Prefix(w.cpu().double(), None if b is None else b.cpu().double()) for w, b in prefixes]


def _queries(random: Random, dtype: torch.dtype, head_dim: int, layout: Layout) -> list[Tensor]:
    """q, k and v: columns beyond a group's heads are NaN, and rows are not contiguous."""
    width, rows = max(HEADS) * head_dim, layout.starts[-1]
    made = []
    for _ in range(3):
        x = random.normal(rows, width + 8, dtype=dtype)
        for group, heads in zip(layout.rows, HEADS, strict=True):
            x[group, heads * head_dim :] = NAN
        made.append(x[:, :width])
    return made


def attended(device: torch.device, dtype: torch.dtype, head_dim: int) -> Row:
    layout = Layout(LENGTHS, GROUPS)
    q, k, v = _queries(Random(device), dtype, head_dim, layout)
    y = operations_on(device).attention(q, k, v, layout, layout, HEADS, head_dim)
    q, k, v = (x.cpu().double() for x in (q, k, v))
    exact = attention(q, k, v, layout, layout, HEADS, head_dim)
    error = max(
        relative_error(y[rows, : h * head_dim], exact[rows, : h * head_dim])
        for rows, h in zip(layout.rows, HEADS, strict=True)
        if rows.stop > rows.start
    )
    shape = f"lengths {LENGTHS}, heads {HEADS} of {head_dim}"
    return check("attention", dtype, shape, error, FACTOR * BOUNDS[dtype])


def attended_alone(device: torch.device, dtype: torch.dtype) -> Row:
    """A text in a mixed batch, and alone."""
    layout, operation = Layout(LENGTHS, GROUPS), operations_on(device).attention
    given = _queries(Random(device), dtype, 64, layout)
    y = operation(*given, layout, layout, HEADS, 64)
    text, one = slice(layout.starts[3], layout.starts[4]), Layout((LENGTHS[3],), (1,))
    own = operation(*(x[text] for x in given), one, one, HEADS[2:], 64)
    return same("a text's attention in a batch and alone", dtype, "64 tokens", y[text, :64], own)


def _pooling(
    random: Random, dtype: torch.dtype, head_dim: int, keys: Layout
) -> tuple[Tensor, Tensor, list[Prefix], list[Prefix]]:
    width, dim = max(HEADS) * head_dim, 96
    q = random.normal(len(keys.lengths), width, dtype=dtype)
    x = random.normal(keys.starts[-1], dim + 8, dtype=dtype)
    x[:, dim:] = NAN
    key, value = (random.normal(width, dim, dtype=dtype).mul_(dim**-0.5) for _ in range(2))
    bias = random.normal(width, dtype=dtype)
    views = [
        [Prefix(weight[: h * head_dim], bias[: h * head_dim]) for h in HEADS]
        for weight in (key, value)
    ]
    return q, x[:, :dim], views[0], views[1]


def pooled(device: torch.device, dtype: torch.dtype, head_dim: int) -> Row:
    keys = Layout(LENGTHS, GROUPS)
    queries = Layout((1,) * len(LENGTHS), GROUPS)
    q, x, key, value = _pooling(Random(device), dtype, head_dim, keys)
    y = operations_on(device).pooled_attention(q, x, key, value, queries, keys, head_dim)
    exact = pooled_attention(
        q.cpu().double(), x.cpu().double(), exactly(key), exactly(value), queries, keys, head_dim
    )
    error = max(
        relative_error(y[rows, : h * head_dim], exact[rows, : h * head_dim])
        for rows, h in zip(queries.rows, HEADS, strict=True)
        if rows.stop > rows.start
    )
    shape = f"lengths {LENGTHS}, heads {HEADS} of {head_dim}"
    return check("pooled attention", dtype, shape, error, 2 * FACTOR * BOUNDS[dtype])


def pooled_alone(device: torch.device, dtype: torch.dtype) -> Row:
    keys, operation = Layout(LENGTHS, GROUPS), operations_on(device).pooled_attention
    queries = Layout((1,) * len(LENGTHS), GROUPS)
    q, x, key, value = _pooling(Random(device), dtype, 32, keys)
    y = operation(q, x, key, value, queries, keys, 32)
    one = Layout((LENGTHS[3],), (1,))
    text = slice(keys.starts[3], keys.starts[4])
    own = operation(q[3:4], x[text], key[2:], value[2:], Layout((1,), (1,)), one, 32)
    return same("a text's pooling in a batch and alone", dtype, "64 tokens", y[3:4, :32], own)
