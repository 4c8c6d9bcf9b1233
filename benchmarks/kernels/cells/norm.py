"""Residual add and LayerNorm against torch, group by group."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F

from nestling.kernels.prefix import Prefix

from ..ceilings import Ceilings
from ..clock import Clock
from ..devices import Random, operations_on
from ..record import Named, Row
from ..shapes import Shapes, equal_groups, half
from .row import OURS, Work, judged


def cells(clock: Clock, ceilings: Ceilings, shapes: Shapes) -> list[Named]:
    """All widths mixed, and the widest alone."""
    named: list[Named] = []
    for dim in shapes.dims:
        for widths in (shapes.widths, (1.0,)):
            for rows in shapes.rows:
                if rows >= len(widths):
                    d = [int(dim * width) for width in widths]
                    run = partial(norm, clock, ceilings, rows, d, half())
                    named.append((f"norm {d} {rows}", run))
    return named


def norm(clock: Clock, ceilings: Ceilings, rows: int, dims: list[int], dtype: torch.dtype) -> Row:
    """Equal parts of the rows, each with its own width of one weight."""
    operation, groups = operations_on(clock.device).norm, equal_groups(rows, len(dims))
    random, widest = Random(clock.device), max(dims)
    taken = [r.stop - r.start for r in groups]
    numbers = 3 * sum(m * d for m, d in zip(taken, dims, strict=True)) + 2 * widest
    work = Work(numbers * dtype.itemsize, 10 * numbers // 3, dtype)
    copies = []
    for _ in range(clock.copies(work.moved)):
        x, residual = (random.normal(rows, widest, dtype=dtype) for _ in range(2))
        weight, bias = (random.normal(widest, dtype=dtype) for _ in range(2))
        copies.append((x, residual, [Prefix(weight[:d], bias[:d]) for d in dims]))

    def ours(i: int) -> object:
        x, residual, prefixes = copies[i]
        return operation(x, residual, prefixes, groups, 1e-12)

    def apart(i: int) -> object:
        x, residual, prefixes = copies[i]
        return [
            F.layer_norm(x[r, :d] + residual[r, :d], (d,), weight, bias, 1e-12)
            for r, d, (weight, bias) in zip(groups, dims, prefixes, strict=True)
        ]

    timed = clock.compare({OURS: ours, "torch": apart}, len(copies))
    return {"rows": rows, "dims": dims, "copies": len(copies)} | judged(timed, work, ceilings)
