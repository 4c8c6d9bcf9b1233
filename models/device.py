"""Devices: which of them there are, which is used, and whether it still answers.

A process that computes on the CPU is told so without torch, which it may not even have.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

from .errors import NestlingError, missing_extra

CPU = "cpu"
DRIVER = "libcuda.so.1"
"""What every NVIDIA driver brings. It says whether there is a GPU at all."""


def use(wanted: str) -> str:
    """Make a device the one on which this process computes, and return its whole name.

    wanted: `cpu`, `cuda`, `cuda:N`, or `auto`, which is the first GPU where there is one and torch
    is installed. Triton launches kernels on the *current* device, wherever their tensors lie, so a
    process computes on one GPU at a time: the last that was named here. Raises NestlingError that
    lists the devices where there is none of this name.
    """
    if wanted == CPU or (wanted == "auto" and not (has_gpu() and find_spec("torch"))):
        return CPU
    if wanted.startswith("cuda") and not find_spec("torch"):
        raise NestlingError(f"device: {missing_extra('torch', wanted, 'gpu')}")
    available = [CPU, *_gpus()]
    if wanted == "auto":
        name = available[1] if len(available) > 1 else CPU
    else:
        name = "cuda:0" if wanted == "cuda" else wanted
    if name not in available:
        raise NestlingError(f"device: {wanted!r} is not here; available are {', '.join(available)}")
    if name != CPU:
        import torch

        torch.cuda.set_device(name)
    return name


def has_gpu() -> bool:
    """Whether the driver knows one that this process may use."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return False
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return False
    return count.value > 0


def _gpus() -> list[str]:
    """Those that torch computes on, by name."""
    if not find_spec("torch"):
        return []
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def check(device: str) -> None:
    """Raise what the device says if it answers no more, as after an access to memory that is none.

    CUDA keeps such an error: every later call of the process fails as well, and no other process is
    touched. Where only memory or resources were short, the device is well and nothing is raised.
    """
    if device != CPU:
        import torch

        torch.cuda.synchronize(device)
