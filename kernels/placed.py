"""What a device has to know of a layout, and of its groups' widths: tensors, made once each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cached_property
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST_WIDTHS = 4096
"""Choices of widths that are kept on devices; the one that was asked for longest ago goes first."""
_widths: OrderedDict[tuple[tuple[int, ...], torch.device], Tensor] = OrderedDict()
_widths_lock = Lock()


def on_device(widths: tuple[int, ...], device: torch.device) -> Tensor:
    """Each group's width on a device: (groups,) int32.

    It is a copy of its own, for which the host waits, unless `upload` placed it before. A captured
    CUDA graph reads it where it lies: who replays one keeps it, for it may have to go from here.
    """
    if (placed := _widths.get((widths, device))) is None:
        placed = torch.tensor(widths, dtype=torch.int32, device=device)
        place_widths(widths, placed)
    return placed


def missing_widths(
    wanted: Iterable[tuple[int, ...]], device: torch.device
) -> list[tuple[int, ...]]:
    """Those that a device does not have yet; the others are kept a while longer."""
    missing = []
    with _widths_lock:
        for widths in wanted:
            if (widths, device) in _widths:
                _widths.move_to_end((widths, device))
            else:
                missing.append(widths)
    return missing


def place_widths(widths: tuple[int, ...], placed: Tensor) -> None:
    """Take this as what `on_device` gives for its device."""
    with _widths_lock:
        _widths[widths, placed.device] = placed
        while len(_widths) > MOST_WIDTHS:
            _widths.popitem(last=False)


def placed_integers(values: Sequence[int] | NDArray[np.integer], device: torch.device) -> Tensor:
    """A copy of its own on a device, for which the host waits: (values,) int32."""
    return torch.from_numpy(np.array(values, np.int32)).to(device)


class LayoutTensors:
    """What a device has to know of a layout. Each tensor is made when it is first asked for."""

    def __init__(self, lengths: tuple[int, ...], device: torch.device) -> None:
        """lengths: rows of each sequence."""
        self._lengths, self._device = torch.tensor(lengths, dtype=torch.int64), device
        self._longest = max(lengths, default=0)

    @cached_property
    def padded_mask(self) -> Tensor:
        """True where a padded (sequences, longest) grid holds a row: bool."""
        return self._mask.to(self._device)

    @cached_property
    def padded_positions(self) -> Tensor:
        """Where each row lies once every sequence is padded to the longest: (rows,) int64."""
        return self._mask.flatten().nonzero().flatten().to(self._device)

    @cached_property
    def padded_rows(self) -> Tensor:
        """Which row stands where once every sequence is padded to the longest: (sequences ·
        longest,) int64. The padding repeats the sequence's own first row.
        """
        starts = (self._lengths.cumsum(0) - self._lengths)[:, None]
        places = torch.arange(self._longest) * self._mask
        return (starts + places).flatten().to(self._device)

    @cached_property
    def _mask(self) -> Tensor:
        return torch.arange(self._longest) < self._lengths[:, None]
