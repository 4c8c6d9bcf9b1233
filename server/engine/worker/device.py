"""Which device a setting means."""

from __future__ import annotations

import torch

from ....models.errors import NestlingError


def device_of(wanted: str) -> str:
    """The device by name; `auto` is a GPU where there is one. Raises NestlingError if none is."""
    available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if wanted == "auto":
        return available[1] if len(available) > 1 else "cpu"
    name = "cuda:0" if wanted == "cuda" else wanted
    if name not in available:
        raise NestlingError(f"device: {wanted!r} is not here; available are {', '.join(available)}")
    return name
