"""Devices: which of them there are, which is used, and whether it still answers."""

from __future__ import annotations

import torch

from .errors import NestlingError

CPU = "cpu"


def use(wanted: str) -> str:
    """Make a device the one on which this process computes, and return its whole name.

    wanted: `cpu`, `cuda`, `cuda:N`, or `auto`, which is the first GPU where there is one. Triton
    launches kernels on the *current* device, wherever their tensors lie, so a process computes on
    one GPU at a time: the last that was named here. Raises NestlingError that lists the devices
    where there is none of this name.
    """
    available = [CPU, *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if wanted == "auto":
        name = available[1] if len(available) > 1 else CPU
    else:
        name = "cuda:0" if wanted == "cuda" else wanted
    if name not in available:
        raise NestlingError(f"device: {wanted!r} is not here; available are {', '.join(available)}")
    if name != CPU:
        torch.cuda.set_device(name)
    return name


def check(device: str) -> None:
    """Raise what the device says if it answers no more, as after an access to memory that is none.

    CUDA keeps such an error: every later call of the process fails as well, and no other process is
    touched. Where only memory or resources were short, the device is well and nothing is raised.
    """
    if device != CPU:
        torch.cuda.synchronize(device)
