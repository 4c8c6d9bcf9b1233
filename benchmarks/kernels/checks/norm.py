"""Residual add with LayerNorm or RMSNorm, against float64 on the CPU."""

from __future__ import annotations

from functools import partial

import torch

from nestling.kernels.layout import Groups
from nestling.kernels.norm import norm
from nestling.kernels.prefix import Prefix

from ..devices import Random, operations_on
from ..record import Named, Row
from .check import BOUNDS, NAN, check, dtypes, relative_error, same

DIMS = ((384, 96), (101, 33), (768, 384, 192, 96), (64,))
"""Widths of the groups: some are no multiples of 16."""

WAYS = ((True, True), (True, False), (False, True), (False, False))
"""LayerNorm or RMSNorm, with or without a residual."""


def checks(device: torch.device) -> list[Named]:
    named: list[Named] = []
    for dtype in dtypes():
        for dims in DIMS:
            for centred, added in WAYS if dims == DIMS[0] else WAYS[:1]:
                run = partial(normed, device, dtype, dims, centred, added)
                named.append((f"norm {dtype} {dims} {centred} {added}", run))
        named.append((f"norm alone {dtype}", partial(alone, device, dtype)))
    return named


def normed(
    device: torch.device, dtype: torch.dtype, dims: tuple[int, ...], centred: bool, added: bool
) -> Row:
    """NaN beyond each group's width, in rows that are not contiguous."""
    random, widest = Random(device), max(dims)
    ends = [9 * g * (g + 1) // 2 for g in range(len(dims) + 1)]
    groups = Groups(ends)
    x, residual = (random.normal(ends[-1], widest + 5, dtype=dtype) for _ in range(2))
    weight, bias = (random.normal(widest, dtype=dtype) for _ in range(2))
    for rows, d in zip(groups, dims, strict=True):
        x[rows, d:], residual[rows, d:] = NAN, NAN
    x, other = x[:, :widest], residual[:, :widest] if added else None
    prefixes = [Prefix(weight[:d], bias[:d] if centred else None) for d in dims]
    y = operations_on(device).norm(x, other, prefixes, groups, 1e-6)
    exactly = [
        Prefix(w.cpu().double(), None if b is None else b.cpu().double()) for w, b in prefixes
    ]
    exact = norm(
        x.cpu().double(), None if other is None else other.cpu().double(), exactly, groups, 1e-6
    )
    error = max(
        relative_error(y[rows, :d], exact[rows, :d]) for rows, d in zip(groups, dims, strict=True)
    )
    name = ("LayerNorm" if centred else "RMSNorm") + (" with residual" if added else "")
    return check(name, dtype, f"widths {dims}", error, BOUNDS[dtype])


def alone(device: torch.device, dtype: torch.dtype) -> Row:
    """A row in a mixed batch, and alone."""
    random, dims, operation = Random(device), (384, 100), operations_on(device).norm
    x, residual = (random.normal(40, 384, dtype=dtype) for _ in range(2))
    weight, bias = (random.normal(384, dtype=dtype) for _ in range(2))
    prefixes = [Prefix(weight[:d], bias[:d]) for d in dims]
    y = operation(x, residual, prefixes, Groups((0, 9, 40)), 1e-6)
    own = operation(x[20:21], residual[20:21], prefixes[1:], Groups((0, 1)), 1e-6)
    return same("a norm in a batch and alone", dtype, "widths (384, 100)", y[20:21, :100], own)
