"""What a check says, and how results are compared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..record import Row
from ..shapes import interpreted

BOUNDS = {torch.bfloat16: 4e-3, torch.float16: 6e-4, torch.float32: 4e-6}
"""Relative RMS error of one operation, by dtype."""
NAN = float("nan")


def check(
    name: str, dtype: torch.dtype, shape: Sequence[int] | str, error: float, bound: float
) -> Row:
    """One check's row: passed if the error is a number that is not beyond the bound."""
    return {
        "name": name,
        "dtype": str(dtype).removeprefix("torch."),
        "shape": shape if isinstance(shape, str) else list(shape),
        "error": error,
        "bound": bound,
        "passed": error <= bound,
    }


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """RMS of the difference over the RMS of what is expected, in float64 on the CPU."""
    a, b = actual.detach().cpu().double(), expected.detach().cpu().double()
    if a.shape != b.shape:
        raise ValueError(f"shape {tuple(a.shape)}; expected is {tuple(b.shape)}")
    return ((a - b).square().mean().sqrt() / b.square().mean().sqrt()).item()


def differing(actual: Tensor, expected: Tensor) -> float:
    """How many numbers are not the same bit for bit; a NaN differs even from itself."""
    return float((actual != expected).sum().item())


def same(name: str, dtype: torch.dtype, shape: str, actual: Tensor, expected: Tensor) -> Row:
    """Bit for bit on a GPU. In the interpreter a product is NumPy's, whose BLAS may sum a row in
    another order.
    """
    if actual.device.type == "cuda":
        return check(name, dtype, shape, differing(actual, expected), 0.0)
    return check(name, dtype, shape, relative_error(actual, expected), BOUNDS[dtype])


def dtypes() -> tuple[torch.dtype, ...]:
    """All that are computed in; for bfloat16 Triton's interpreter has no product."""
    if interpreted():
        return (torch.float16, torch.float32)
    return (torch.bfloat16, torch.float16, torch.float32)


def poisoned(rows: int, columns: int, like: Tensor) -> Tensor:
    """NaN throughout: what is read shows, and what is not written."""
    return torch.full((rows, columns), NAN, dtype=like.dtype, device=like.device)
