"""The device that is measured, and the numbers that are given to it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nestling.kernels.attention.triton import attention
from nestling.kernels.operations import Operations, triton_operations

from .record import NotRunError


def device_of(name: str) -> torch.device:
    """`cpu`, or a CUDA device with its index, which is the current one from now on.

    Raises NotRunError if torch sees no such device.
    """
    device = torch.device(name)
    if device.type != "cuda":
        return device
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise NotRunError(f"{name}: no such CUDA device; torch sees {torch.cuda.device_count()}")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def operations_on(device: torch.device) -> Operations:
    """What serves on CUDA. Torch's attention for texts of various lengths runs nowhere else: where
    the kernels run in Triton's interpreter, or are only recorded, ours does all of them.
    """
    if device.type == "cuda":
        return triton_operations()
    return replace(triton_operations(), attention=attention)


def stream_on(device: torch.device) -> torch.cuda.Stream:
    """A stream of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def timing_event() -> torch.cuda.Event:
    """A mark in a stream whose time is kept."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


class Random:
    """The same normal numbers in every run: zeros would run faster than real data, and hide faults.

    A generator of its own, which a failed capture of a CUDA graph does not spoil as it does the
    default one.
    """

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        self.device = device
        self._generator = None
        if device.type != "meta":  # whose tensors hold nothing
            self._generator = torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Of mean 0 and variance 1."""
        return torch.randn(*shape, generator=self._generator, device=self.device, dtype=dtype)

    def uniform(self, *shape: int) -> Tensor:
        """float32 from 0 to 1."""
        return torch.rand(*shape, generator=self._generator, device=self.device)
