"""The norm, with a residual and without, as LayerNorm and as RMSNorm."""

from __future__ import annotations

from types import ModuleType

import torch
from torch.nn.functional import layer_norm

from nestling.kernels.layout import Groups

from ..buffers import TOLERANCE, blocks, guarded, norm_prefixes, relative_error
from ..far import far_apart, results_far_apart
from ..watch import watched
from .checks import check_loads, check_stores, near

CASES: dict[str, tuple[Groups, tuple[int, ...], float]] = {
    # rows of each group, widths, epsilon
    "odd": (Groups((0, 7)), (133,), 1e-12),
    "one column": (Groups((0, 3)), (1,), 0.3),
    "odd groups": (Groups((0, 1, 7, 7, 20)), (63, 7, 33, 100), 0.3),
    "skips": (Groups((0, 4, 9, 10)), (0, 33, 0), 0.3),
    "multiples of 16": (Groups((0, 4, 9)), (64, 16), 0.3),
    "wider than a program holds": (Groups((0, 1, 2, 4, 5)), (1100, 513, 512, 0), 0.3),
    "empty": (Groups((0, 0)), (7,), 0.3),
}


def trial(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    for centred, added in ((True, True), (True, False), (False, True)):
        _norm(kernel, case, dtype, apart, centred, added)


def _norm(
    kernel: ModuleType, case: str, dtype: torch.dtype, apart: int, centred: bool, added: bool
) -> None:
    groups, d, eps = CASES[case]
    rows, width = groups.offsets[-1], max(d)
    parts = list(zip(groups, d, strict=True))
    used = [d_g for r, d_g in parts if r.stop > r.start]
    kept = blocks(rows, width, [(r, d_g or width) for r, d_g in parts])
    x = guarded(kept, dtype, 0, apart)
    residual = guarded(blocks(rows, width, parts), dtype, 1, apart)
    weight = guarded(blocks(1, width, [(slice(1), d_g) for d_g in used]), dtype, 2)
    bias = guarded(blocks(1, width, [(slice(1), d_g) for d_g in used]), dtype, 3)
    views = norm_prefixes(weight.view[0], bias.view[0] if centred else None, d)
    with watched() as watch:
        y = kernel.norm(x.view, residual.view if added else None, views, groups, eps)
        assert y.shape == (rows, width)
        if not rows:
            return
        check_loads(watch, x=x, residual=residual, weight=weight, bias=bias)
        check_stores(watch, y, kept)
    for r, d_g in parts:
        if not d_g:
            assert torch.equal(y[r], x.view[r])
            continue
        total = x.view[r, :d_g].double()
        if added:
            total = total + residual.view[r, :d_g].double()
        if centred:
            total = total - total.mean(dim=1, keepdim=True)
        exact = total / (total.square().mean(dim=1, keepdim=True) + eps).sqrt()
        exact = exact * weight.view[0, :d_g].double()
        if centred:
            exact = exact + bias.view[0, :d_g].double()
        for actual, expected in zip(y[r, :d_g], exact, strict=True):
            assert near(actual, expected, 1, dtype)


def far(kernel: ModuleType) -> None:
    """Rows that 32 bits do not reach, of x, residual and result; some that are kept as they are."""
    x, residual = (far_apart(4, 5, torch.float16) for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    x.copy_(torch.randn(4, 5, generator=generator))
    residual.copy_(torch.randn(4, 5, generator=generator))
    views = norm_prefixes(torch.ones(5).half(), torch.zeros(5).half(), (5, 0))
    with watched(), results_far_apart():
        y = kernel.norm(x, residual, views, Groups((0, 3, 4)), 1e-6)
        exact = layer_norm(x[:3].double() + residual[:3].double(), (5,), eps=1e-6)
        assert relative_error(y[:3], exact) < TOLERANCE[torch.float16]
        assert torch.equal(y[3], x[3])
