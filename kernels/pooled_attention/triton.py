"""The same in three Triton launches for all groups, without padding.

Queries through W_k, per head; scores, softmax and the mix of hidden rows, per sequence; that
through W_v, per head. Heads are padded to the 16 rows of a matrix instruction, nothing else is.
Each sequence is walked from its own first row in blocks of one size, so that its bits do not depend
on the sequences beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_alike, check_covers, check_dtype, check_matrix, check_vector
from ..layout import Layout
from ..multiples import multiple, multiple_of
from ..placed import on_device
from ..prefix import Prefix
from ..sequences import check_head_dim, width_of

LOG2E = 1.4426950408889634
ROWS = 16
"""Sequences of one program of a product per head, heads of one of the mix."""


@triton.jit(
    do_not_specialize=[
        *("q_stride", "w_stride", "asked_stride", "starts", "members", "ns", "ds"),
        *("groups", "sequences", "heads"),
    ]
)
def asked_kernel(
    q, w, asked, q_stride, w_stride, asked_stride, starts, members, ns, ds,
    groups, sequences, heads,
    HEAD_DIM: tl.constexpr, STRIDE_MULTIPLE: tl.constexpr, D_MULTIPLE: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """asked[s, h, :d] = q[starts[s], h] · w[h, :, :d], with head h's HEAD_DIM columns and rows.

    ns, ds: each group's outputs and inputs of w. STRIDE_MULTIPLE: of what the strides of q, w and y
    are multiples; D_MULTIPLE: ds and the stride of asked. Grid: sequences, heads, columns of d.
    """
    sequence = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    head = tl.program_id(1)
    has = width_of(sequence, members, ns, groups) > head * HEAD_DIM
    widest = tl.max(tl.where(has, width_of(sequence, members, ds, groups), 0), axis=0)
    if tl.program_id(2) * COLUMNS < widest:
        widest = multiple(widest, D_MULTIPLE)
        column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
        depth = tl.arange(0, DEPTH)
        within, inside = depth < HEAD_DIM, column < widest
        row = tl.load(starts + sequence, mask=sequence < sequences, other=0).to(tl.int64)
        q_tile = (
            q
            + row[:, None] * multiple(q_stride, STRIDE_MULTIPLE)
            + head * HEAD_DIM
            + depth[None, :]
        )
        rows = tl.load(q_tile, mask=has[:, None] & within[None, :], other=0.0)
        w_rows = (head * HEAD_DIM + depth).to(tl.int64) * multiple(w_stride, STRIDE_MULTIPLE)
        part = tl.load(
            w + w_rows[:, None] + column[None, :], mask=within[:, None] & inside[None, :], other=0.0
        )
        total = tl.dot(rows, part, input_precision="tf32x3")
        of_head = (sequence.to(tl.int64) * heads + head) * multiple(asked_stride, D_MULTIPLE)
        tl.store(
            asked + of_head[:, None] + column[None, :],
            total.to(asked.dtype.element_ty),
            mask=has[:, None] & inside[None, :],
        )


@triton.jit(
    do_not_specialize=[
        "x_stride",
        "asked_stride",
        "starts",
        "members",
        "ns",
        "ds",
        "groups",
        "heads",
    ]
)
def mix_kernel(
    asked, x, mixed, x_stride, asked_stride, starts, members, ns, ds, groups, heads,
    HEAD_DIM: tl.constexpr, SCALE: tl.constexpr,
    STRIDE_MULTIPLE: tl.constexpr, D_MULTIPLE: tl.constexpr,
    HEADS: tl.constexpr, TOKENS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """mixed[s, h, :d] = softmax(asked[s, h, :d] · x[t, :d]) over the tokens t of s, times x[t, :d].

    SCALE: of the scores, for powers of 2. Grid: sequences, columns of d, heads in blocks. Every
    block of columns has the scores to itself.
    """
    sequence = tl.program_id(0)
    own = width_of(sequence, members, ns, groups) // HEAD_DIM
    d = width_of(sequence, members, ds, groups)
    first = tl.program_id(2) * HEADS
    if (first < own) & (tl.program_id(1) * COLUMNS < d):
        d = multiple(d, D_MULTIPLE)
        start, end = tl.load(starts + sequence), tl.load(starts + sequence + 1)
        head = first + tl.arange(0, HEADS)
        there = head < own
        of_head = (sequence.to(tl.int64) * heads + head) * multiple(asked_stride, D_MULTIPLE)
        of_head = of_head[:, None]
        column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
        depth = tl.arange(0, DEPTH)
        token = tl.arange(0, TOKENS)
        stride = multiple(x_stride, STRIDE_MULTIPLE)
        top = tl.full((HEADS,), -float("inf"), tl.float32)
        total = tl.zeros((HEADS,), tl.float32)
        sum_of = tl.zeros((HEADS, COLUMNS), tl.float32)
        for block in range(start, end, TOKENS):
            # Rows beyond the end repeat the last one, whose numbers are finite; they weigh nothing.
            x_rows = x + tl.minimum(block + token, end - 1).to(tl.int64) * stride
            scores = tl.zeros((HEADS, TOKENS), tl.float32)
            for step in range(0, d, DEPTH):
                k = step + depth
                rows = tl.load(
                    asked + of_head + k[None, :], mask=there[:, None] & (k < d)[None, :], other=0.0
                )
                keys = tl.load(x_rows[None, :] + k[:, None], mask=(k < d)[:, None], other=0.0)
                scores = tl.dot(rows, keys, scores, input_precision="tf32x3")
            scores = tl.where((block + token < end)[None, :], scores * SCALE, -float("inf"))
            higher = tl.maximum(top, tl.max(scores, axis=1))
            weights = tl.exp2(scores - higher[:, None])
            shrunk = tl.exp2(top - higher)
            values = tl.load(
                x_rows[:, None] + column[None, :], mask=(column < d)[None, :], other=0.0
            )
            weighed = weights.to(x.dtype.element_ty)
            sum_of = tl.dot(weighed, values, sum_of * shrunk[:, None], input_precision="tf32x3")
            total = total * shrunk + tl.sum(weights, axis=1)
            top = higher
        tl.store(
            mixed + of_head + column[None, :],
            (sum_of / total[:, None]).to(mixed.dtype.element_ty),
            mask=there[:, None] & (column < d)[None, :],
        )


@triton.jit(
    do_not_specialize=[
        *("mixed_stride", "w_stride", "y_stride", "starts", "members", "ns", "ds"),
        *("groups", "sequences", "heads"),
    ]
)
def values_kernel(
    mixed, w, b, y, mixed_stride, w_stride, y_stride, starts, members, ns, ds,
    groups, sequences, heads,
    BIAS: tl.constexpr, HEAD_DIM: tl.constexpr,
    STRIDE_MULTIPLE: tl.constexpr, D_MULTIPLE: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """y[starts[s], h] = mixed[s, h, :d] · w[h, :, :d]ᵀ + b[h], with head h's HEAD_DIM columns and
    rows. BIAS: whether there is a b. Grid: sequences, heads.
    """
    sequence = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    head = tl.program_id(1)
    has = width_of(sequence, members, ns, groups) > head * HEAD_DIM
    d = tl.where(has, width_of(sequence, members, ds, groups), 0)
    widest = tl.max(d, axis=0)
    if widest > 0:
        d = multiple(d, D_MULTIPLE)
        widest = multiple(widest, D_MULTIPLE)
        column = tl.arange(0, COLUMNS)
        depth = tl.arange(0, DEPTH)
        within = column < HEAD_DIM
        of_head = (sequence.to(tl.int64) * heads + head) * multiple(mixed_stride, D_MULTIPLE)
        w_rows = (head * HEAD_DIM + column).to(tl.int64) * multiple(w_stride, STRIDE_MULTIPLE)
        total = tl.zeros((ROWS, COLUMNS), tl.float32)
        for step in range(0, widest, DEPTH):
            k = step + depth
            rows = tl.load(
                mixed + of_head[:, None] + k[None, :], mask=k[None, :] < d[:, None], other=0.0
            )
            part = tl.load(
                w + w_rows[None, :] + k[:, None],
                mask=within[None, :] & (k < widest)[:, None],
                other=0.0,
            )
            total = tl.dot(rows, part, total, input_precision="tf32x3")
        if BIAS:
            added = tl.load(b + head * HEAD_DIM + column, mask=within, other=0.0)
            total += added.to(tl.float32)[None, :]
        row = tl.load(starts + sequence, mask=sequence < sequences, other=0).to(tl.int64)
        tl.store(
            y
            + row[:, None] * multiple(y_stride, STRIDE_MULTIPLE)
            + head * HEAD_DIM
            + column[None, :],
            total.to(y.dtype.element_ty),
            mask=has[:, None] & within[None, :],
        )


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
    """As `reference.pooled_attention`, in bfloat16, float16 or float32, accumulated in float32.

    Raises TypeError or ValueError before launch for tensors that the kernels would misread.
    """
    n = tuple(0 if each is None else each.weight.shape[0] for each in key)
    d = tuple(0 if each is None else each.weight.shape[1] for each in key)
    widest, deepest = max(n), max(d)
    if out is not None:
        check_covers("out", out, q, widest)
    y = q.new_empty(len(q), widest) if out is None else out
    sequences = len(keys.lengths)
    if not sequences or not widest:
        return y
    # All groups have views of one weight, which begin where it begins: any of them stands for it.
    w_k, w_v = (next(p for p in each if p is not None) for each in (key, value))
    _check(q, x, w_k.weight, w_v.weight, w_v.bias)
    check_head_dim(head_dim)
    device, heads = x.device, widest // head_dim
    asked = x.new_empty(sequences * heads, deepest)
    mixed = torch.empty_like(asked)
    groups = (keys.members.on(device), on_device(n, device), on_device(d, device), len(n))
    strides = (q.stride(0), x.stride(0), w_k.weight.stride(0), w_v.weight.stride(0), y.stride(0))
    multiples = multiple_of(*strides), multiple_of(*d)
    row_tiles = triton.cdiv(sequences, ROWS)
    head, depth, warps, mix = program(x.dtype, head_dim)
    asked_kernel[(row_tiles, heads, triton.cdiv(deepest, mix["COLUMNS"]))](
        q, w_k.weight, asked, q.stride(0), w_k.weight.stride(0), deepest,
        queries.bounds.on(device), *groups, sequences, heads,
        head_dim, *multiples, ROWS, mix["COLUMNS"], head, num_warps=warps,
    )  # fmt: skip
    mix_kernel[
        (sequences, triton.cdiv(deepest, mix["COLUMNS"]), triton.cdiv(heads, mix["HEADS"]))
    ](
        asked, x, mixed, x.stride(0), deepest,
        keys.bounds.on(device), *groups, heads,
        head_dim, LOG2E * head_dim**-0.5, *multiples, **mix,
    )  # fmt: skip
    values_kernel[(row_tiles, heads)](
        mixed, w_v.weight, w_v.bias, y, deepest, w_v.weight.stride(0), y.stride(0),
        queries.bounds.on(device), *groups, sequences, heads,
        w_v.bias is not None, head_dim, *multiples, ROWS, head, depth, num_warps=warps,
    )  # fmt: skip
    return y


def _check(q: Tensor, x: Tensor, w_k: Tensor, w_v: Tensor, bias: Tensor | None) -> None:
    check_dtype("x", x)
    for name, matrix in (("q", q), ("x", x), ("key", w_k), ("value", w_v)):
        check_matrix(name, matrix)
    check_alike(x, q=q, key=w_k, value=w_v, bias=bias)
    if bias is not None:
        check_vector("bias", bias, len(w_v))


class Shapes(NamedTuple):
    """head: columns that one is padded to. depth, warps: of a product per head. mix: the shape of a
    program of `mix_kernel`.
    """

    head: int
    depth: int
    warps: int
    mix: dict[str, int]


def program(dtype: torch.dtype, head_dim: int) -> Shapes:
    """What fits into registers, and into the shared memory of every card."""
    mix = {"HEADS": ROWS, "TOKENS": 32, "COLUMNS": 128, "DEPTH": 64, "num_stages": 3}
    if dtype == torch.float32:  # both parts of each factor have registers of their own
        mix |= {"COLUMNS": 64, "num_stages": 2}
    head = max(16, triton.next_power_of_2(head_dim))
    depth, warps = (64, 4) if head <= 128 else (32, 8)
    return Shapes(head, depth, warps, mix)
