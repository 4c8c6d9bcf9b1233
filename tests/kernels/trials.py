"""What each kernel must do with guarded buffers, for its own tests and for those of its mutants.

A trial takes the module of a kernel, or of a mutant, and raises AssertionError or what the kernel
raises unless the kernel reads nothing but its own, writes all of its own and nothing else, and is
right. `TRIALS` names them all.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from nestling.kernels import ACTIVATIONS, Groups
from nestling.kernels.gate.reference import MARGINS
from nestling.kernels.tiles import Tile

from .buffers import (
    TOLERANCE,
    Guarded,
    blocks,
    guarded,
    norm_prefixes,
    prefixes,
    relative_error,
)
from .watch import Watch, watched

SMALL = Tile(rows=16, columns=32, depth=16, warps=4, stages=2, band=2)
"""So that few rows and columns are many programs, in several bands."""


def check_loads(watch: Watch, **inputs: Guarded) -> None:
    """Nothing but their own was loaded."""
    for name, x in inputs.items():
        foreign = watch.loads(x.whole) & ~x.own
        assert not foreign.any(), f"{name}: loads {foreign.nonzero()[0].tolist()}, not its own"


def check_stores(watch: Watch, y: Tensor, own: Tensor) -> None:
    """All of its own was stored to once, and nothing else."""
    times = watch.stores(y)
    wrong = times != own
    assert not wrong.any(), (
        f"{wrong.nonzero()[0].tolist()}: stored to {times[wrong][0]} times, not {int(own[wrong][0])}"
    )


LINEAR: dict[str, tuple[Groups, tuple[int, ...], tuple[int, ...], str, Tile | None]] = {
    # rows of each group, outputs, inputs, activation, tile
    "odd": (Groups((0, 33)), (63,), (100,), "none", SMALL),
    "one of each": (Groups((0, 1)), (1,), (1,), "none", None),
    "odd groups": (Groups((0, 7, 40, 40, 73)), (133, 33, 7, 1), (63, 133, 33, 7), "none", SMALL),
    "skewed": (Groups((0, 1, 2, 130)), (100, 7, 33), (1, 63, 100), "gelu", None),
    "skips": (Groups((0, 12, 37, 37)), (0, 99, 0), (0, 7, 0), "tanh", SMALL),
    "multiples of 16": (Groups((0, 48, 64)), (64, 32), (96, 16), "silu", SMALL),
    "one multiple of 16": (Groups((0, 64)), (64,), (48,), "relu", SMALL),
    "other activation": (Groups((0, 17)), (16,), (16,), "gelu_tanh", None),
    "empty": (Groups((0, 0, 0)), (8, 64), (16, 61), "none", None),
}


def linear(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    groups, n, k, activation, tile = LINEAR[case]
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
        check_stores(watch, out.whole, out.own)
        assert (out.whole[~out.own] == 7).all()
    assert kernel.linear(x.view, views, groups, activation, tile=tile).shape == (rows, max(n))
    for r, n_g, k_g in parts:
        if n_g and r.stop > r.start:
            product = x.view[r, :k_g].double() @ weight.view[:n_g, :k_g].double().T
            exact = ACTIVATIONS[activation](product + bias.view[0, :n_g].double())
            # a row at a time: some rows of many that are wrong must not go unseen
            for actual, expected in zip(y[r, :n_g], exact, strict=True):
                assert _near(actual, expected, product.square().mean().sqrt().item(), dtype)


def _near(actual: Tensor, expected: Tensor, scale: float, dtype: torch.dtype) -> bool:
    """Whether no number of a row is off by more than a rounding, of itself and of its sum."""
    off = (actual.double() - expected.double()).abs()
    allowed = torch.finfo(dtype).eps * expected.double().abs() + 1e-5 * scale
    return bool((off <= allowed).all())


NORM: dict[str, tuple[Groups, tuple[int, ...], float]] = {
    # rows of each group, widths, epsilon
    "odd": (Groups((0, 7)), (133,), 1e-12),
    "one column": (Groups((0, 3)), (1,), 0.3),
    "odd groups": (Groups((0, 1, 7, 7, 20)), (63, 7, 33, 100), 0.3),
    "skips": (Groups((0, 4, 9, 10)), (0, 33, 0), 0.3),
    "multiples of 16": (Groups((0, 4, 9)), (64, 16), 0.3),
    "empty": (Groups((0, 0)), (7,), 0.3),
}


def norm(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    for centred, added in ((True, True), (True, False), (False, True)):
        _norm(kernel, case, dtype, apart, centred, added)


def _norm(
    kernel: ModuleType, case: str, dtype: torch.dtype, apart: int, centred: bool, added: bool
) -> None:
    groups, d, eps = NORM[case]
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
            assert _near(actual, expected, 1, dtype)


GATE = {  # rows, labels
    "one of each": (1, 1),
    "two labels": (7, 2),
    "odd": (33, 133),
    "more rows than one program's": (63, 7),
    "multiples of 16": (32, 16),
    "many labels": (3, 1000),
    "empty": (0, 7),
}


def gate(kernel: ModuleType, case: str, dtype: torch.dtype, apart: int = 1) -> None:
    rows, labels = GATE[case]
    margin = MARGINS[dtype]
    logits = guarded(torch.ones(rows, labels, dtype=torch.bool), dtype, 0, apart)
    temperature = torch.linspace(0.3, 3, rows)
    threshold = torch.linspace(0.05, 0.9, rows)
    if rows:
        logits.view[0] = 0  # all are equally sure: the first label
        threshold[0] = exactly(1 / labels, margin) if 1 / labels > margin else 0
    if rows > 2:
        logits.view[1], logits.view[2] = 0, 0
        threshold[1] = threshold[0] + 0.5 * margin  # in the margin
        threshold[2] = 0  # always accepts
    with watched() as watch:
        decision = kernel.gate(logits.view, temperature, threshold)
        assert [len(column) for column in decision] == [rows] * 3
        if not rows:
            return
        check_loads(watch, logits=logits)
        for column in decision:
            check_stores(watch, column, torch.ones(rows, dtype=torch.bool))
    exact = torch.softmax(logits.view.double() / temperature.double()[:, None], dim=-1)
    best = exact.max(dim=-1).values
    torch.testing.assert_close(decision.confidence.double(), best, rtol=2e-6, atol=1e-6)
    first = [row.index(max(row)) for row in logits.view.tolist()]
    assert decision.label.tolist() == first
    reached = decision.confidence >= threshold + margin
    assert torch.equal(decision.accept, reached | (threshold <= 0))
    below = threshold[1:2] <= 0  # where the margin is as wide as the confidence
    assert decision.accept[:3].tolist() == [True, *below, True][:rows]


def exactly(confidence: float, margin: float) -> float:
    """A threshold that this confidence reaches with the margin, and by nothing more, in float32."""
    reached, steps = torch.tensor(confidence), 64
    bound = reached - margin
    for _ in range(steps):
        bound = torch.nextafter(bound, torch.tensor(-1.0))
    for _ in range(2 * steps):
        if bound + margin == reached:
            return float(bound)
        bound = torch.nextafter(bound, torch.tensor(1.0))
    raise ValueError(f"{confidence}: no threshold and {margin} make it")


Trial = Callable[[ModuleType, str, torch.dtype, int], None]
TRIALS: dict[str, tuple[Trial, list[str]]] = {
    "linear.triton": (linear, list(LINEAR)),
    "norm.triton": (norm, list(NORM)),
    "gate.triton": (gate, list(GATE)),
}
"""By module: how to try its kernel, and the names of the cases."""
DTYPES = tuple(TOLERANCE)


def try_all(module: str, kernel: ModuleType) -> None:
    """Every case, as the tests do for the real kernel. Raises what the first failure raises."""
    trial, cases = TRIALS[module]
    for case in cases:
        for dtype in DTYPES:
            trial(kernel, case, dtype, 1)
    for case in cases:
        trial(kernel, case, torch.float32, 2)
