"""Refuses what an operation cannot take, before anything is launched, naming the argument."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def check_matrix(name: str, x: Tensor) -> None:
    """Raises ValueError unless x is a matrix whose rows lie in one piece."""
    if x.dim() != 2:
        raise ValueError(f"{name}: {x.dim()} dimensions; it must have 2")
    if x.stride(1) != 1 and x.shape[1] > 1:
        raise ValueError(
            f"{name}: stride {x.stride(1)} between columns; the columns of a row must be adjacent"
        )


def check_alike(like: Tensor, **others: Tensor | None) -> None:
    """Raises TypeError or ValueError unless all have the dtype and the device of the first."""
    for name, other in others.items():
        if other is None:
            continue
        if other.dtype != like.dtype:
            raise TypeError(f"{name}: {other.dtype}, but x is {like.dtype}")
        if other.device != like.device:
            raise ValueError(f"{name}: on {other.device}, but x is on {like.device}")


def check_dtype(name: str, x: Tensor) -> None:
    """Raises TypeError for a dtype that the device kernels do not compute in."""
    if x.dtype not in DTYPES:
        known = ", ".join(str(d).removeprefix("torch.") for d in DTYPES)
        raise TypeError(f"{name}: {x.dtype}; it must be one of {known}")


def check_rows(x: Tensor, offsets: Sequence[int]) -> None:
    """Raises ValueError unless the groups cover the rows of x."""
    if offsets[-1] != len(x):
        raise ValueError(f"offsets: they end at row {offsets[-1]}, but x has {len(x)} rows")


def check_widths(name: str, widths: Sequence[int], limit: int, groups: int, of: str) -> None:
    """Raises ValueError unless there is a width per group, each from 0 to `limit`.

    of: what sets the limit, for the message.
    """
    if len(widths) != groups:
        raise ValueError(f"{name}: {len(widths)} widths for {groups} groups")
    if not all(0 <= width <= limit for width in widths):
        raise ValueError(f"{name}: {list(widths)}; each must be from 0 to {limit}, {of}")
