"""Attention of one query per sequence, read from the hidden rows."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from nestling.kernels.layout import Layout

from ..buffers import TOLERANCE, blocks, guarded, prefixes, relative_error
from ..far import far_apart
from ..watch import watched
from .checks import check_loads, check_stores

CASES: dict[
    str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], int, bool]
] = {
    # rows of each sequence; sequences, heads and inputs of each group; width of a head; `out` given
    "one of each": ((1,), (1,), (1,), (1,), 1, False),
    "odd": ((3, 1, 7), (3,), (3,), (33,), 5, False),
    "odd groups": ((2, 33, 1, 5, 5), (2, 0, 2, 1), (5, 2, 1, 3), (63, 33, 7, 100), 7, True),
    "skips": ((2, 7, 3), (1, 1, 1), (0, 2, 0), (0, 33, 0), 7, True),
    "skewed": ((1,) * 18 + (133, 1), (18, 2), (1, 2), (7, 33), 3, False),
    "many heads": ((5, 2), (1, 1), (18, 17), (7, 9), 2, False),
    "wide head": ((3, 20), (2,), (1,), (33,), 130, False),
    "multiples of 16": ((16, 80), (1, 1), (2, 1), (64, 16), 16, True),
}


def trial(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    lengths, sequences, heads, d, head_dim, given = CASES[case]
    keys = Layout(lengths, sequences)
    _, queries = keys.keep_first_rows(tuple(h > 0 for h in heads))
    n = [h * head_dim for h in heads]
    used = [(slice(n_g), d_g) for s, n_g, d_g in zip(sequences, n, d, strict=True) if s]
    asked = blocks(queries.starts[-1], max(n), list(zip(queries.rows, n, strict=True)))
    q = guarded(asked, dtype, 0, apart)
    x = guarded(
        blocks(keys.starts[-1], max(d), list(zip(keys.rows, d, strict=True))), dtype, 1, apart
    )
    key, value = (guarded(blocks(max(n), max(d), used), dtype, s, apart) for s in (2, 3))
    key.whole.mul_(max(d) ** -0.5)
    value.whole.mul_(max(d) ** -0.5)
    for members, n_g, d_g in zip(keys.members, n, d, strict=True):
        for s in range(*members.indices(len(lengths))):
            if n_g and lengths[s] > 32:  # scores far below those of a block before
                first_head = q.view[queries.starts[s], :head_dim] @ key.view[:head_dim, :d_g]
                x.view[keys.starts[s], :d_g] = 100 * first_head
    bias = guarded(blocks(1, max(n), [(slice(1), r.stop) for r, _ in used]), dtype, 4)
    out = guarded(asked, dtype, 5, apart)
    out.whole.fill_(7)
    for with_bias in (True, False) if dtype == torch.float32 else (True,):
        values = prefixes(value.view, bias.view[0], n, d)
        if not with_bias:
            values = [None if each is None else each._replace(bias=None) for each in values]
        with watched() as watch:
            y = kernel.pooled_attention(
                q.view, x.view, prefixes(key.view, bias.view[0], n, d), values,
                queries, keys, head_dim, out.view if given else None,
            )  # fmt: skip
            check_loads(watch, q=q, x=x, key=key, value=value, bias=bias)
            if given:
                check_stores(watch, out.whole, out.own)
                assert (out.whole[~out.own] == 7).all()
            else:
                check_stores(watch, y, asked)
        for g, (n_g, d_g) in enumerate(zip(n, d, strict=True)):
            for s in range(*keys.members[g].indices(len(lengths))):
                if n_g:
                    exact = exactly(
                        q.view[queries.starts[s], :n_g],
                        x.view[keys.starts[s] : keys.starts[s + 1], :d_g],
                        key.view[:n_g, :d_g],
                        value.view[:n_g, :d_g],
                        head_dim,
                    )
                    if with_bias:
                        exact = exact + bias.view[0, :n_g].double()
                    actual = y[queries.starts[s], :n_g]
                    assert relative_error(actual, exact) < 10 * TOLERANCE[dtype]


def exactly(q: Tensor, x: Tensor, w_k: Tensor, w_v: Tensor, head_dim: int) -> Tensor:
    """Keys and values computed, in float64. q: (n,). x: (tokens, d). w_k, w_v: (n, d)."""
    q, keys, values = q.double(), x.double() @ w_k.double().T, x.double() @ w_v.double().T
    mixed = []
    for head in range(len(q) // head_dim):
        c = slice(head * head_dim, (head + 1) * head_dim)
        weights = torch.softmax(keys[:, c] @ q[c] / head_dim**0.5, dim=0)
        mixed.append(weights @ values[:, c])
    return torch.cat(mixed)


def far(kernel: ModuleType) -> None:
    """Rows that 32 bits do not reach, of queries, hidden rows, both weights and the result."""
    q, key, value, out = (far_apart(3, 3, torch.float16) for _ in range(4))
    x = far_apart(4, 3, torch.float16)
    generator = torch.Generator().manual_seed(0)
    for each in (q, x, key, value):
        each.copy_(torch.randn(len(each), 3, generator=generator))
    bias = torch.zeros(3, dtype=torch.float16)
    weights = (prefixes(each, bias, (3,), (3,)) for each in (key, value))
    asking, offering = Layout((1, 1, 1), (3,)), Layout((1, 1, 2), (3,))
    with watched():
        y = kernel.pooled_attention(q, x, *weights, asking, offering, 3, out)
        for s, tokens in enumerate((x[:1], x[1:2], x[2:])):
            exact = exactly(q[s], tokens, key, value, 3)
            assert relative_error(y[s], exact) < 3 * TOLERANCE[torch.float16]
