"""The linear layer, of one group and of several."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import torch
from triton import cdiv

from nestling.kernels.layout import Groups
from nestling.kernels.linear import ACTIVATIONS
from nestling.kernels.tiles import Tile

from ..buffers import TOLERANCE, Guarded, blocks, guarded, prefixes, relative_error
from ..far import far_apart
from ..watch import Watch, watched
from .checks import check_loads, check_stores, near

SMALL = Tile(rows=16, columns=32, depth=16, warps=4, stages=2, band=2)
"""So that few rows and columns are many programs, in several bands."""


CASES: dict[str, tuple[Groups, tuple[int, ...], tuple[int, ...], str, Tile | None]] = {
    # rows of each group, outputs, inputs, activation, tile
    "one of each": (Groups((0, 1)), (1,), (1,), "none", None),
    "empty": (Groups((0, 0, 0)), (8, 64), (16, 61), "none", None),
    "skips": (Groups((0, 2, 27, 27)), (0, 39, 0), (0, 7, 0), "none", SMALL),
    "skewed": (Groups((0, 1, 2, 40)), (100, 7, 33), (1, 63, 33), "none", None),
    **{a: (Groups((0, 5)), (9,), (7,), a, None) for a in ACTIVATIONS},
    "odd": (Groups((0, 33)), (63,), (100,), "none", SMALL),
    "odd groups": (Groups((0, 7, 40, 40, 73)), (133, 33, 7, 1), (63, 133, 33, 7), "none", SMALL),
    "multiples of 16": (Groups((0, 48, 64)), (80, 32), (96, 16), "none", SMALL),
    "multiples of 8": (Groups((0, 7, 24)), (40, 24), (24, 72), "none", SMALL),
    "wide tiles": (Groups((0, 5, 9)), (300, 97), (7, 12), "none", replace(SMALL, columns=256)),
    "one multiple of 16": (Groups((0, 64)), (64,), (48,), "none", SMALL),
}


def trial(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    groups, n, k, activation, tile = CASES[case]
    rows = groups.offsets[-1]
    parts = list(zip(groups, n, k, strict=True))
    used = [(n_g, k_g) for r, n_g, k_g in parts if n_g and r.stop > r.start]
    x = guarded(blocks(rows, max(k), [(r, k_g) for r, n_g, k_g in parts if n_g]), dtype, 0, apart)
    weight = guarded(
        blocks(max(n), max(k), [(slice(n_g), k_g) for n_g, k_g in used]), dtype, 1, apart
    )
    weight.whole.mul_(max(k) ** -0.5)  # sums of about 1, where no activation is flat
    bias = guarded(blocks(1, max(n), [(slice(1), n_g) for n_g, _ in used]), dtype, 2)
    out = guarded(blocks(rows, max(n), [(r, n_g) for r, n_g, _ in parts]), dtype, 3, apart)
    out.whole.fill_(7)
    views = prefixes(weight.view, bias.view[0], n, k)
    with watched() as watch:
        y = kernel.linear(x.view, views, groups, activation, out.view, tile)
        assert y is out.view
        if not used:
            return
        check_loads(watch, x=x, weight=weight, bias=bias)
        if tile:
            check_work(watch, x, weight, parts, tile)
        check_stores(watch, out.whole, out.own)
        assert (out.whole[~out.own] == 7).all()
    assert kernel.linear(x.view, views, groups, activation, tile=tile).shape == (rows, max(n))
    for r, n_g, k_g in parts:
        if n_g and r.stop > r.start:
            product = x.view[r, :k_g].double() @ weight.view[:n_g, :k_g].double().T
            exact = ACTIVATIONS[activation](product + bias.view[0, :n_g].double())
            # a row at a time: some rows of many that are wrong must not go unseen
            for actual, expected in zip(y[r, :n_g], exact, strict=True):
                assert near(actual, expected, product.square().mean().sqrt().item(), dtype)


def check_work(
    watch: Watch, x: Guarded, weight: Guarded, parts: list[tuple[slice, int, int]], tile: Tile
) -> None:
    """No program computes what is not stored: each tile of the result loads its operands once.

    The last row and the last output stand for those beyond it, so the first of each are counted.
    """
    tiles = {r.start: cdiv(n_g, tile.columns) for r, n_g, _ in parts if r.stop > r.start}
    for row, columns in tiles.items():
        if row + 1 not in tiles and row + 1 < len(x.view):
            assert watch.loads(x.view[row, :1]) == columns
    if all(n_g != 1 for _, n_g, _ in parts):
        height = sum(cdiv(r.stop - r.start, tile.rows) for r, n_g, _ in parts if n_g)
        assert watch.loads(weight.view[0, :1]) == height


def far(kernel: ModuleType) -> None:
    """Rows that 32 bits do not reach, of x, weight and result."""
    x, weight, out = (far_apart(3, 5, torch.float16) for _ in range(3))
    x.copy_(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    weight[2] = 1
    bias, groups = torch.ones(3, dtype=torch.float16), Groups((0, 3))
    with watched():
        y = kernel.linear(x, prefixes(weight, bias, (3,), (5,)), groups, out=out)
        assert relative_error(y[:, 2], x.double().sum(dim=1) + 1) < TOLERANCE[torch.float16]
