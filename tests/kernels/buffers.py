"""Inputs that catch an operation which reads or writes what is not its own."""

from __future__ import annotations

import torch
from torch import Tensor

GUARD = 7
"""Columns beside a matrix's own, filled with NaN."""


def poisoned(rows: int, columns: int, seed: int = 0) -> Tensor:
    """A strided (rows, columns) view into a buffer whose other columns are NaN."""
    generator = torch.Generator().manual_seed(seed)
    buffer = torch.full((rows, columns + GUARD), float("nan"))
    buffer[:, :columns] = torch.randn(rows, columns, generator=generator)
    return buffer[:, :columns]


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """RMS of the difference over RMS of the expected, in float64."""
    difference = actual.double() - expected.double()
    return (difference.square().mean().sqrt() / expected.double().square().mean().sqrt()).item()
