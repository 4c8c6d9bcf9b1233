"""Runs of rows that use the same widths, and how a device is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import overload

import torch
from torch import Tensor


class Indices:
    """Integers that the host knows, and their copy on each device that asked for it."""

    def __init__(self, values: Sequence[int], dtype: torch.dtype = torch.int64) -> None:
        self.values = tuple(values)
        self._dtype = dtype
        self._copies: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """(values,) of the dtype, made once and always the same tensor."""
        if device not in self._copies:
            self._copies[device] = torch.tensor(self.values, dtype=self._dtype, device=device)
        return self._copies[device]


class Groups(Sequence[slice]):
    """Groups of rows, one after the other; as a sequence, each group's rows as a slice.

    offsets: the first row of each group, and the end of the last (groups + 1 numbers, from 0).
    Raises ValueError for offsets that do not start at 0 or are not sorted.
    """

    def __init__(self, offsets: Sequence[int]) -> None:
        if not offsets or offsets[0] != 0 or any(b < a for a, b in pairwise(offsets)):
            raise ValueError(f"offsets: {list(offsets)} do not start at 0, or are not sorted")
        self.offsets = tuple(offsets)
        self._slices = tuple(slice(a, b) for a, b in pairwise(offsets))
        self._indices = Indices(offsets, torch.int32)

    def __len__(self) -> int:
        return len(self._slices)

    @overload
    def __getitem__(self, index: int) -> slice: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[slice]: ...
    def __getitem__(self, index: int | slice) -> slice | Sequence[slice]:
        return self._slices[index]

    def on(self, device: torch.device) -> Tensor:
        """The offsets on a device: (groups + 1,) int32, always the same tensor.

        A captured CUDA graph reads this very tensor: to replay it for groups of other sizes, with
        as many rows in all, copy their offsets into it.
        """
        return self._indices.on(device)


@lru_cache(maxsize=4096)
def on_device(widths: tuple[int, ...], device: torch.device) -> Tensor:
    """Each group's width on a device: (groups,) int32, made once per choice of widths."""
    return torch.tensor(widths, dtype=torch.int32, device=device)
