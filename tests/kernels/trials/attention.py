"""Attention within each sequence, over each group's own heads."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor
from triton import cdiv

from nestling.kernels.layout import Layout

from ..buffers import TOLERANCE, Guarded, blocks, guarded, relative_error
from ..far import far_apart
from ..watch import Watch, watched
from .checks import check_loads, check_stores

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, bool]] = {
    # rows of each sequence, sequences and heads of each group, width of a head, `out` given
    "one of each": ((1,), (1,), (1,), 1, False),
    "odd": ((3, 1, 7), (3,), (3,), 5, False),
    "odd groups": ((2, 33, 1, 32, 5), (2, 0, 2, 1), (5, 2, 1, 3), 7, True),
    "skips": ((2, 7, 3), (1, 1, 1), (0, 2, 0), 7, True),
    "skewed": ((1, 1, 133, 1), (1, 3), (1, 2), 3, False),
    "wide head": ((3, 20), (2,), (1,), 130, False),
    "multiples of 16": ((16, 80), (1, 1), (2, 1), 16, True),
}


def trial(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    lengths, sequences, heads, head_dim, given = CASES[case]
    keys = Layout(lengths, sequences)
    _, asking_once = keys.keep_first_rows(tuple(g % 2 == 1 for g in range(len(sequences))))
    for queries in (keys, asking_once):
        widths = [h * head_dim for h in heads]
        widest = max(widths)
        asked = blocks(queries.starts[-1], widest, list(zip(queries.rows, widths, strict=True)))
        offered = blocks(keys.starts[-1], widest, list(zip(keys.rows, widths, strict=True)))
        q = guarded(asked, dtype, 0, apart)
        k, v = (guarded(offered, dtype, seed, apart) for seed in (1, 2))
        for first, length in zip(keys.starts, lengths, strict=False):
            if length > 32:  # scores far below those of a block before
                k.view[first] *= 30
        out = guarded(asked, dtype, 3, apart)
        out.whole.fill_(7)
        with watched() as watch:
            y = kernel.attention(
                q.view, k.view, v.view, queries, keys, heads, head_dim, out.view if given else None
            )
            check_loads(watch, q=q, k=k, v=v)
            check_work(watch, k.view, queries, keys, heads, kernel.program(head_dim)["ROWS"])
            if given:
                check_stores(watch, out.whole, out.own)
                assert (out.whole[~out.own] == 7).all()
            else:
                check_stores(watch, y, asked)
        for g, h in enumerate(heads):
            _check_group(y, (q, k, v), queries, keys, g, h, head_dim, dtype)


def check_work(
    watch: Watch, k: Tensor, queries: Layout, keys: Layout, heads: tuple[int, ...], rows: int
) -> None:
    """Each sequence's first key is loaded once by each program that has queries of it.

    Its last one stands for those beyond it, so a sequence of one key is passed over.
    """
    for members, h in zip(keys.members, heads, strict=True):
        for s in range(*members.indices(len(keys.lengths))):
            if h and keys.lengths[s] > 1:
                assert watch.loads(k[keys.starts[s], :1]) == cdiv(queries.lengths[s], rows)


def _check_group(
    y: Tensor,
    given: tuple[Guarded, Guarded, Guarded],
    queries: Layout,
    keys: Layout,
    group: int,
    heads: int,
    head_dim: int,
    dtype: torch.dtype,
) -> None:
    q, k, v = (each.view for each in given)
    for s in range(*queries.members[group].indices(len(queries.lengths))):
        r, t = (slice(*each.starts[s : s + 2]) for each in (queries, keys))
        for head in range(heads):
            c = slice(head * head_dim, (head + 1) * head_dim)
            scores = q[r, c].double() @ k[t, c].double().T / head_dim**0.5
            exact = torch.softmax(scores, dim=-1) @ v[t, c].double()
            for actual, expected in zip(y[r, c], exact, strict=True):
                assert relative_error(actual, expected) < 10 * TOLERANCE[dtype]


def far(kernel: ModuleType) -> None:
    """Rows that 32 bits do not reach, of queries, keys, values and result."""
    q, k, v, out = (far_apart(3, 5, torch.float16) for _ in range(4))
    generator = torch.Generator().manual_seed(0)
    for each in (q, k, v):
        each.copy_(torch.randn(3, 5, generator=generator))
    layout = Layout((3,), (1,))
    with watched():
        y = kernel.attention(q, k, v, layout, layout, (1,), 5, out)
        scores = q.double() @ k.double().T / 5**0.5
        exact = torch.softmax(scores, dim=-1) @ v.double()
        assert relative_error(y, exact) < 3 * TOLERANCE[torch.float16]
