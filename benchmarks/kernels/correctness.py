"""Before anything is timed: is it right, on this very device?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nestling.kernels import Groups, Prefix
from nestling.kernels.gate import GateDecision
from nestling.kernels.gate import reference as gate_reference
from nestling.kernels.gate import triton as gate_kernel
from nestling.kernels.linear.triton import linear
from nestling.kernels.norm import reference as norm_reference
from nestling.kernels.norm import triton as norm_kernel
from nestling.kernels.tiles import architecture, kind

from .candidates import CANDIDATES

TOLERANCE = {torch.bfloat16: 4e-3, torch.float16: 6e-4, torch.float32: 2e-6}
"""Relative RMS error, by dtype; tf32 is not used here."""


def check(device: torch.device) -> dict[str, float]:
    """Largest error of each kernel against float64, by kernel and dtype.

    Raises AssertionError for an error beyond TOLERANCE, for a row that depends on its neighbours,
    and for a captured graph that does not follow its offsets.
    """
    errors = {}
    for dtype, tolerance in TOLERANCE.items():
        for name, error in (
            ("sliced_linear", _sliced(device, dtype)),
            ("grouped_linear", _grouped(device, dtype)),
            ("grouped_norm", _norm(device, dtype)),
        ):
            if not error < tolerance:
                raise AssertionError(f"{name}: {dtype}: relative error {error:.1e}")
            errors[f"{name} {dtype}".replace("torch.", "")] = error
        _check_alone_equals_batched(device, dtype, tolerance)
    _check_gate(device)
    if device.type == "cuda":
        _check_graph(device)
    return errors


def _random(device: torch.device, dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(*shape, device=device).to(dtype)


def _error(actual: Tensor, expected: Tensor) -> float:
    difference = actual.double() - expected
    return (difference.square().mean().sqrt() / expected.square().mean().sqrt()).item()


def _sliced(device: torch.device, dtype: torch.dtype) -> float:
    worst = 0.0
    for rows, n, k in ((1, 7, 2000), (33, 63, 100), (100, 133, 63), (700, 256, 512)):
        x, w = _random(device, dtype, rows, k + 3), _random(device, dtype, n + 5, k + 1)
        b = _random(device, dtype, n + 5)
        exact = x[:, :k].double() @ w[:n, :k].double().T + b[:n].double()
        worst = max(worst, _error(linear(x, [Prefix(w[:n, :k], b[:n])], Groups((0, rows))), exact))
    return worst


def _grouped(device: torch.device, dtype: torch.dtype) -> float:
    worst = 0.0
    for unit in (16, 7):  # widths that are multiples of 16, and widths that are not
        groups = Groups((0, 5, 5, 300, 331))
        n, k = [unit * i for i in (8, 3, 2, 1)], [unit * i for i in (4, 4, 1, 3)]
        x, w = _random(device, dtype, 331, max(k)), _random(device, dtype, max(n), max(k))
        b = _random(device, dtype, max(n))
        y = linear(x, _prefixes(w, b, n, k), groups)
        for r, n_g, k_g in zip(groups, n, k, strict=True):
            if r.stop > r.start:
                exact = x[r, :k_g].double() @ w[:n_g, :k_g].double().T + b[:n_g].double()
                worst = max(worst, _error(y[r, :n_g], exact))
    return worst


def _prefixes(w: Tensor, b: Tensor, n: Sequence[int], k: Sequence[int]) -> list[Prefix | None]:
    return [Prefix(w[:n_g, :k_g], b[:n_g]) for n_g, k_g in zip(n, k, strict=True)]


def _norm(device: torch.device, dtype: torch.dtype) -> float:
    groups, d = Groups((0, 9, 40)), (384, 100)
    x, residual = (_random(device, dtype, 40, 384) for _ in range(2))
    weight, bias = (_random(device, dtype, 384) for _ in range(2))
    own, exactly = (
        [Prefix(weight[:width].to(of), bias[:width].to(of)) for width in d]
        for of in (dtype, torch.float64)
    )
    y = norm_kernel.norm(x, residual, own, groups, 1e-6)
    exact = norm_reference.norm(x.double(), residual.double(), exactly, groups, 1e-6)
    return max(_error(y[r, :w], exact[r, :w]) for r, w in zip(groups, d, strict=True))


def _check_alone_equals_batched(device: torch.device, dtype: torch.dtype, tolerance: float) -> None:
    """Whatever the tile, and however many rows are beside it: the same bits, on a GPU.

    In the interpreter a product is NumPy's, whose BLAS may sum a row in another order.
    """
    n, k = 256, 512
    x, w, b = (_random(device, dtype, *shape) for shape in ((700, k), (n, k), (n,)))
    whole = [Prefix(w, b)]
    expected = linear(x, whole, Groups((0, 700)), "gelu")
    for tile in CANDIDATES[architecture(device)][kind(dtype)]:
        for rows in (slice(0, 1), slice(0, 65), slice(0, 700)):
            y = linear(x[rows], whole, Groups((0, rows.stop)), "gelu", tile=tile)
            if device.type == "cuda":
                same = torch.equal(y, expected[rows])
            else:
                same = _error(y, expected[rows].double()) < tolerance
            if not same:
                raise AssertionError(f"{dtype}: {tile} gives {rows} something else than the batch")


def _check_gate(device: torch.device) -> None:
    logits = _random(device, torch.float32, 5000, 150)
    temperature = torch.rand(5000, device=device) + 0.5
    threshold = torch.rand(5000, device=device) * 0.1
    ours = gate_kernel.gate(logits, temperature, threshold)
    theirs = gate_reference.gate(logits, temperature, threshold)
    for name in GateDecision._fields:
        a, b = getattr(ours, name), getattr(theirs, name)
        same = torch.allclose(a, b, atol=3e-6) if a.is_floating_point() else torch.equal(a, b)
        if not same:
            raise AssertionError(f"gate: {name} differs from the reference")


def _check_graph(device: torch.device) -> None:
    """One capture, replayed with other offsets in the same tensor."""
    x, w, b = (_random(device, torch.bfloat16, *s) for s in ((96, 128), (256, 128), (256,)))
    groups, n, k = Groups((0, 10, 96)), (256, 64), (128, 32)
    prefixes = _prefixes(w, b, n, k)
    linear(x, prefixes, groups)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = linear(x, prefixes, groups)
    groups.on(device).copy_(torch.tensor([0, 60, 96]))
    graph.replay()
    moved = linear(x, prefixes, Groups((0, 60, 96)))
    if not (torch.equal(y[:60], moved[:60]) and torch.equal(y[60:, :64], moved[60:, :64])):
        raise AssertionError("a captured graph does not follow its offsets")
