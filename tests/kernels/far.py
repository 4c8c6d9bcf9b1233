"""Matrices whose rows lie so far apart that 32 bits do not hold the way from the first to the last.

Only the pages that hold rows take memory; the rest is address space.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

STEP = 2**30 + 8
"""Numbers from one row to the next: twice that is more than an int32 holds."""
NORESERVE = 0x4000
"""Linux' MAP_NORESERVE, which Python's mmap does not name: no memory is set aside."""


def far_apart(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """(rows, columns) of zeros, rows STEP numbers apart, for up to 2 bytes a number."""
    numbers = (rows - 1) * STEP + columns
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
    memory = mmap.mmap(-1, numbers * dtype.itemsize, flags)
    return torch.frombuffer(memory, dtype=dtype, count=numbers).as_strided(
        (rows, columns), (STEP, 1)
    )


@contextmanager
def results_far_apart() -> Iterator[None]:
    """The rows of matrices that are made for results lie far apart, too."""
    new_empty = torch.Tensor.new_empty

    def far(self: Tensor, *shape: Any, **options: Any) -> Tensor:
        if len(shape) == 2:
            return far_apart(*shape, self.dtype)
        return new_empty(self, *shape, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "new_empty", far)
        yield
