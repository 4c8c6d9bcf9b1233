"""Sliced and grouped linear layers against cuBLAS on the same strided views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nestling.kernels.linear.triton import linear

from .clock import Clock
from .shapes import ROWS, WIDTHS, Layer, equal_groups

Cell = dict[str, Any]


def measure_sliced(
    clock: Clock,
    layers: Iterable[Layer],
    rows: Sequence[int] = ROWS,
    widths: Sequence[float] = WIDTHS,
) -> list[Cell]:
    """Every layer, width and number of rows: seconds of ours and of cuBLAS."""
    cells = []
    for layer in layers:
        for width in widths:
            n, k = layer.sizes(width)
            for count in rows:
                cells.append(_sliced(clock, layer, count, n, k) | {"width": width})
    return cells


def _sliced(clock: Clock, layer: Layer, rows: int, n: int, k: int) -> Cell:
    w, b = layer.weight, layer.bias
    x = torch.randn(rows, w.shape[1], device=w.device, dtype=w.dtype)
    seconds = clock.seconds(
        {
            "ours": lambda: linear(x, [layer.prefix(n, k)], equal_groups(rows, 1)),
            "cublas": lambda: F.linear(x[:, :k], w[:n, :k], b[:n]),
        }
    )
    needed = (n * k + n + rows * (n + k)) * w.element_size()
    return {
        "layer": layer.name,
        "rows": rows,
        "n": n,
        "k": k,
        "seconds": seconds,
        "speedup": seconds["cublas"] / seconds["ours"],
        "bytes_per_second": needed / seconds["ours"],
        "flops_per_second": 2 * rows * n * k / seconds["ours"],
    }


def measure_grouped(
    clock: Clock,
    layers: Iterable[Layer],
    rows: Sequence[int] = ROWS,
    widths: Sequence[float] = WIDTHS,
) -> list[Cell]:
    """All widths mixed in equal parts: one launch of ours against a loop of cuBLAS calls."""
    cells = []
    for layer in layers:
        sizes = [layer.sizes(width) for width in widths]
        for count in rows:
            if count >= len(widths):
                cells.append(_grouped(clock, layer, count, sizes))
    return cells


def _grouped(clock: Clock, layer: Layer, rows: int, sizes: Sequence[tuple[int, int]]) -> Cell:
    w, b = layer.weight, layer.bias
    x = torch.randn(rows, w.shape[1], device=w.device, dtype=w.dtype)
    groups = equal_groups(rows, len(sizes))
    n, k = zip(*sizes, strict=True)
    y = x.new_empty(rows, max(n))

    def loop() -> Tensor:
        for r, n_g, k_g in zip(groups, n, k, strict=True):
            y[r, :n_g] = F.linear(x[r, :k_g], w[:n_g, :k_g], b[:n_g])
        return y

    prefixes = [layer.prefix(*size) for size in sizes]
    seconds = clock.seconds({"ours": lambda: linear(x, prefixes, groups), "loop": loop})
    sizes_of = [r.stop - r.start for r in groups]
    work = sum(2 * m * n_g * k_g for m, (n_g, k_g) in zip(sizes_of, sizes, strict=True))
    moved = sum(m * (n_g + k_g) for m, (n_g, k_g) in zip(sizes_of, sizes, strict=True))
    needed = (max(n) * max(k) + max(n) + moved) * w.element_size()
    return {
        "layer": layer.name,
        "rows": rows,
        "groups": len(sizes),
        "seconds": seconds,
        "speedup": seconds["loop"] / seconds["ours"],
        "bytes_per_second": needed / seconds["ours"],
        "flops_per_second": work / seconds["ours"],
    }
