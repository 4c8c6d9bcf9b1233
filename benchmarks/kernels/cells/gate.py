"""The gate against the sequence of torch operations that it replaces."""

from __future__ import annotations

from functools import partial

import torch

from nestling.kernels.gate.codes import MARGIN
from nestling.kernels.gate.reference import gate

from ..ceilings import Ceilings
from ..clock import Clock
from ..devices import Random, operations_on
from ..record import Named, Row
from ..shapes import Shapes, half
from .row import OURS, Work, judged

PER_ROW = 4 + 4 + 4 + 4 + 8 + 4 + 4 + 1 + 4 + 1
"""Bytes: temperature, threshold, its score and scope in, the columns of a `GateDecision` out."""


def cells(clock: Clock, ceilings: Ceilings, shapes: Shapes) -> list[Named]:
    """By labels and rows."""
    dtype = half()
    return [
        (f"gate {rows} × {labels}", partial(decided, clock, ceilings, rows, labels, dtype))
        for labels in shapes.labels
        for rows in shapes.gate_rows
    ]


def decided(clock: Clock, ceilings: Ceilings, rows: int, labels: int, dtype: torch.dtype) -> Row:
    random, kernel = Random(clock.device), operations_on(clock.device).gate
    numbers = rows * labels
    work = Work(numbers * dtype.itemsize + rows * PER_ROW, 4 * numbers, dtype)
    temperature = torch.ones(rows, device=clock.device)
    threshold = torch.full_like(temperature, 0.5)
    by = torch.full_like(temperature, MARGIN)
    scope = torch.zeros_like(temperature)
    copies = [random.normal(rows, labels, dtype=dtype) for _ in range(clock.copies(work.moved))]
    timed = clock.compare(
        {
            OURS: lambda i: kernel(copies[i], temperature, threshold, by, scope),
            "torch": lambda i: gate(copies[i], temperature, threshold, by, scope),
        },
        len(copies),
    )
    return {"rows": rows, "labels": labels, "copies": len(copies)} | judged(timed, work, ceilings)
