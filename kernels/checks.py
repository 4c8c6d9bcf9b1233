"""Refuses tensors that a device kernel would misread, before it is launched, naming the argument.

Widths and rows are not its business: the plan of a batch has checked those, for all operations.
"""

from __future__ import annotations

from collections.abc import Collection

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


def check_vector(name: str, x: Tensor, length: int) -> None:
    """Raises ValueError unless x is `length` adjacent numbers."""
    if x.shape != (length,) or (length > 1 and x.stride(0) != 1):
        raise ValueError(f"{name}: {tuple(x.shape)}; it must be {length} adjacent numbers")


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


def check_covers(name: str, x: Tensor, like: Tensor, width: int) -> None:
    """Raises TypeError or ValueError unless x has the rows of `like`, and as many columns."""
    check_matrix(name, x)
    check_alike(like, **{name: x})
    if len(x) != len(like) or x.shape[1] < width:
        raise ValueError(f"{name}: {tuple(x.shape)}; it must be {len(like)} × at least {width}")


def check_activation(activation: str, known: Collection[str]) -> None:
    """Raises ValueError for a name that is not among those known."""
    if activation not in known:
        raise ValueError(f"activation: {activation!r} is none of {', '.join(known)}")
