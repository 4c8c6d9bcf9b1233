"""What the kernels are to reach, as a share of what the device can do, and what they reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .record import Row

MANY = 512
"""Rows from which on a product has work for every multiprocessor."""


@dataclass(frozen=True)
class Target:
    """A geometric mean over those cells of half precision that `counts` says, of their `value`."""

    figure: str
    unit: str
    least: float
    value: str
    counts: Callable[[Row], bool]


def _of(kind: str, many: bool) -> Callable[[Row], bool]:
    return lambda cell: cell["kind"] == kind and (cell["rows"] >= MANY) == many


TARGETS = (
    Target(
        f"sliced linear, rows ≥ {MANY}", "share of the floor", 0.7, "share", _of("sliced", True)
    ),
    Target("sliced linear, fewer rows", "share of the floor", 0.6, "share", _of("sliced", False)),
    Target(
        f"grouped linear, rows ≥ {MANY}", "share of the floor", 0.7, "share", _of("grouped", True)
    ),
    Target("grouped linear, fewer rows", "share of the floor", 0.6, "share", _of("grouped", False)),
    Target(
        "grouped linear against cuBLAS per group",
        "ratio to the fastest way",
        1.3,
        "speedup",
        lambda cell: cell["kind"] == "grouped",
    ),
)


def reached(kernels: Row) -> list[Row]:
    """Each target and what was measured, from what the section `kernels` has found so far.

    measured, met: None where no cell was measured on a GPU.
    """
    on_gpu = str(kernels.get("device", "")).startswith("cuda")
    cells = [
        cell
        for cell in kernels.get("linear", [])
        if on_gpu and cell.get("dtype") != "float32" and "share" in cell
    ]
    rows = []
    for target in TARGETS:
        values = [
            float(cell[target.value])
            for cell in cells
            if target.counts(cell) and target.value in cell
        ]
        measured = geometric_mean(values) if values else None
        rows.append(
            {
                "figure": target.figure,
                "unit": target.unit,
                "target": f"at least {target.least}",
                "measured": None if measured is None else round(measured, 3),
                "spread": [round(min(values), 3), round(max(values), 3)] if values else None,
                "cells": len(values),
                "met": None if measured is None else measured >= target.least,
            }
        )
    return rows


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
