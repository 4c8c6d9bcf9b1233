"""Attention, and that of one query per text, against torch's.

The rivals: `padded`, the reference, whose texts are padded to the group's longest; and for whole
attention `varlen`, torch's kernel for texts of various lengths, group by group.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

from nestling.kernels.attention import attention
from nestling.kernels.layout import Layout
from nestling.kernels.pooled_attention import pooled_attention
from nestling.kernels.prefix import Prefix

from ..ceilings import Ceilings
from ..clock import Call, Clock
from ..devices import Random, operations_on
from ..record import Named, Row
from ..shapes import Shapes, half
from .row import OURS, Work, judged


def cells(clock: Clock, ceilings: Ceilings, shapes: Shapes) -> list[Named]:
    """By texts and heads; all widths mixed, and the whole alone."""
    named: list[Named] = []
    dtype = half()
    for count in shapes.heads:
        for name, lengths in shapes.texts.items():
            for widths in (shapes.widths, (1.0,)):
                heads = [max(1, int(count * width)) for width in widths]
                if len(lengths) < len(heads):
                    continue
                for title, measured in (("attention", attended), ("pooled attention", pooled)):
                    run = partial(
                        measured, clock, ceilings, name, lengths, heads, shapes.head_dim, dtype
                    )
                    named.append((f"{title} {name} {heads}", run))
    return named


def layout_of(lengths: Sequence[int], groups: int) -> Layout:
    """The texts in equal parts."""
    ends = [len(lengths) * g // groups for g in range(groups + 1)]
    return Layout(tuple(lengths), tuple(b - a for a, b in pairwise(ends)))


def attended(
    clock: Clock,
    ceilings: Ceilings,
    texts: str,
    lengths: Sequence[int],
    heads: Sequence[int],
    head_dim: int,
    dtype: torch.dtype,
) -> Row:
    """Whole attention. heads: of each group."""
    random, operation = Random(clock.device), operations_on(clock.device).attention
    layout, width = layout_of(lengths, len(heads)), max(heads) * head_dim
    parts = [(part.lengths, h * head_dim) for part, h in zip(layout.parts, heads, strict=True)]
    work = Work(
        sum(4 * sum(ns) * w for ns, w in parts) * dtype.itemsize,
        sum(4 * n * n * w for ns, w in parts for n in ns),
        dtype,
    )
    copies = [
        [random.normal(sum(lengths), width, dtype=dtype) for _ in range(3)]
        for _ in range(clock.copies(work.moved))
    ]

    starts = [
        torch.tensor(part.starts, dtype=torch.int32, device=clock.device) for part in layout.parts
    ]

    def ours(i: int) -> object:
        q, k, v = copies[i]
        return operation(q, k, v, layout, layout, heads, head_dim)

    def padded(i: int) -> object:
        q, k, v = copies[i]
        return attention(q, k, v, layout, layout, heads, head_dim)

    def varlen(i: int) -> object:
        q, k, v = copies[i]
        return apart(q, k, v, layout, starts, heads, head_dim)

    runs: dict[str, Call] = {OURS: ours, "padded": padded}
    if clock.device.type == "cuda":
        runs["varlen"] = varlen
    timed = clock.compare(runs, len(copies))
    return {
        "kind": "whole", "texts": texts, "heads": heads, "head_dim": head_dim,
        "copies": len(copies),
    } | judged(timed, work, ceilings)  # fmt: skip


def apart(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: Layout,
    starts: Sequence[Tensor],
    heads: Sequence[int],
    head_dim: int,
) -> list[Any]:
    """torch's kernel once per group, each with a result of its own. starts: of each group's texts,
    on the device.
    """
    found = []
    for rows, part, at, h in zip(layout.rows, layout.parts, starts, heads, strict=True):
        q_g, k_g, v_g = (x[rows, : h * head_dim].view(-1, h, head_dim) for x in (q, k, v))
        found.append(varlen_attn(q_g, k_g, v_g, at, at, part.longest, part.longest))
    return found


def pooled(
    clock: Clock,
    ceilings: Ceilings,
    texts: str,
    lengths: Sequence[int],
    heads: Sequence[int],
    head_dim: int,
    dtype: torch.dtype,
) -> Row:
    """One query per text. The hidden rows are as wide as the widest group's heads."""
    random, operation = Random(clock.device), operations_on(clock.device).pooled_attention
    keys = layout_of(lengths, len(heads))
    queries = Layout((1,) * len(lengths), keys.groups)
    dim = max(heads) * head_dim
    parts = [(part.lengths, h, h * head_dim) for part, h in zip(keys.parts, heads, strict=True)]
    rows, widest = sum(lengths), dim
    read = rows * dim + 2 * widest * dim + widest
    work = Work(
        (read + 2 * sum(len(ns) * w for ns, _, w in parts)) * dtype.itemsize,
        sum(4 * len(ns) * dim * w + 4 * sum(ns) * dim * h for ns, h, w in parts),
        dtype,
    )
    copies = []
    for _ in range(clock.copies(work.moved)):
        q = random.normal(len(lengths), widest, dtype=dtype)
        x = random.normal(rows, dim, dtype=dtype)
        key, value = (random.normal(widest, dim, dtype=dtype).mul_(dim**-0.5) for _ in range(2))
        bias = random.normal(widest, dtype=dtype)
        prefixes = [
            [Prefix(weight[: h * head_dim], bias[: h * head_dim]) for h in heads]
            for weight in (key, value)
        ]
        copies.append((q, x, prefixes[0], prefixes[1]))

    def ours(i: int) -> object:
        q, x, key, value = copies[i]
        return operation(q, x, key, value, queries, keys, head_dim)

    def padded(i: int) -> object:
        q, x, key, value = copies[i]
        return pooled_attention(q, x, key, value, queries, keys, head_dim)

    timed = clock.compare({OURS: ours, "padded": padded}, len(copies))
    return {
        "kind": "pooled", "texts": texts, "heads": heads, "dim": dim, "copies": len(copies),
    } | judged(timed, work, ceilings)  # fmt: skip
