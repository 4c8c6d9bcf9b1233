"""The same in one Triton launch for all groups, without padding, in any dtype and head dimension.

Each sequence's keys are walked from its own first row in blocks of one size, so that its bits do
not depend on the sequences beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from ..checks import check_alike, check_covers, check_dtype, check_matrix
from ..layout import Layout
from ..multiples import multiple, multiple_of
from ..placed import on_device
from ..sequences import check_head_dim, width_of

LOG2E = 1.4426950408889634


@triton.jit(
    do_not_specialize=[
        *("q_stride", "k_stride", "v_stride", "y_stride"),
        *("query_starts", "key_starts", "members", "ns", "groups"),
    ]
)
def attention_kernel(
    q, k, v, y, q_stride, k_stride, v_stride, y_stride,
    query_starts, key_starts, members, ns, groups,
    HEAD_DIM: tl.constexpr, SCALE: tl.constexpr, STRIDE_MULTIPLE: tl.constexpr,
    ROWS: tl.constexpr, TOKENS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Some queries of a sequence with one of its heads, HEAD_DIM of COLUMNS wide.

    ns: each group's heads times HEAD_DIM. SCALE: of the scores, for powers of 2. STRIDE_MULTIPLE:
    of what the strides are multiples.
    Grid: sequences, heads, queries in blocks.
    """
    sequence, head = tl.program_id(0), tl.program_id(1)
    row = tl.load(query_starts + sequence) + tl.program_id(2) * ROWS
    row_end = tl.load(query_starts + sequence + 1)
    if (head * HEAD_DIM < width_of(sequence, members, ns, groups)) & (row < row_end):
        start, end = tl.load(key_starts + sequence), tl.load(key_starts + sequence + 1)
        rows = row + tl.arange(0, ROWS)
        column = tl.arange(0, COLUMNS)
        token = tl.arange(0, TOKENS)
        within = column < HEAD_DIM
        at = head * HEAD_DIM + column
        # Rows beyond the end repeat the last one, whose numbers are finite; they weigh nothing.
        q_rows = tl.minimum(rows, row_end - 1).to(tl.int64)[:, None] * multiple(
            q_stride, STRIDE_MULTIPLE
        )
        k_stride = multiple(k_stride, STRIDE_MULTIPLE)
        v_stride = multiple(v_stride, STRIDE_MULTIPLE)
        asking = tl.load(q + q_rows + at[None, :], mask=within[None, :], other=0.0)
        top = tl.full((ROWS,), -float("inf"), tl.float32)
        total = tl.zeros((ROWS,), tl.float32)
        sum_of = tl.zeros((ROWS, COLUMNS), tl.float32)
        for block in range(start, end, TOKENS):
            offered = tl.minimum(block + token, end - 1).to(tl.int64)
            keys = tl.load(
                k + offered[None, :] * k_stride + at[:, None], mask=within[:, None], other=0.0
            )
            scores = tl.dot(asking, keys, input_precision="tf32x3") * SCALE
            scores = tl.where((block + token < end)[None, :], scores, -float("inf"))
            higher = tl.maximum(top, tl.max(scores, axis=1))
            weights = tl.exp2(scores - higher[:, None])
            shrunk = tl.exp2(top - higher)
            values = tl.load(
                v + offered[:, None] * v_stride + at[None, :], mask=within[None, :], other=0.0
            )
            weighed = weights.to(v.dtype.element_ty)
            sum_of = tl.dot(weighed, values, sum_of * shrunk[:, None], input_precision="tf32x3")
            total = total * shrunk + tl.sum(weights, axis=1)
            top = higher
        tl.store(
            y + rows.to(tl.int64)[:, None] * multiple(y_stride, STRIDE_MULTIPLE) + at[None, :],
            (sum_of / total[:, None]).to(y.dtype.element_ty),
            mask=(rows < row_end)[:, None] & within[None, :],
        )


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    queries: Layout,
    keys: Layout,
    heads: Sequence[int],
    head_dim: int,
    out: Tensor | None = None,
) -> Tensor:
    """As `reference.attention`, in bfloat16, float16 or float32, accumulated in float32.

    Raises TypeError or ValueError before launch for tensors that the kernel would misread.
    """
    widths = tuple(h * head_dim for h in heads)
    check_dtype("q", q)
    for name, each in (("q", q), ("k", k), ("v", v)):
        check_matrix(name, each)
    check_alike(q, k=k, v=v)
    check_head_dim(head_dim)
    if out is not None:
        check_covers("out", out, q, max(widths))
    y = q.new_empty(len(q), max(widths)) if out is None else out
    longest = max(
        (part.longest for part, h in zip(queries.parts, heads, strict=True) if h), default=0
    )
    if not longest:
        return y
    shape = program(head_dim)
    device, strides = q.device, (q.stride(0), k.stride(0), v.stride(0), y.stride(0))
    attention_kernel[(len(queries.lengths), max(heads), triton.cdiv(longest, shape["ROWS"]))](
        q, k, v, y, *strides,
        queries.bounds.on(device), keys.bounds.on(device), keys.members.on(device),
        on_device(widths, device), len(heads),
        head_dim, LOG2E * head_dim**-0.5, multiple_of(*strides), **shape,
    )  # fmt: skip
    return y


def program(head_dim: int) -> dict[str, int]:
    """Queries and keys that a program has before it at a time, and its columns: as many as fit."""
    columns = max(16, triton.next_power_of_2(head_dim))
    rows, tokens = (32, 32) if columns <= 64 else (16, 16)
    warps = 4 if columns <= 128 else 8
    return {"ROWS": rows, "TOKENS": tokens, "COLUMNS": columns, "num_warps": warps}
