"""What comes back from a device: in one copy, waited for once, timed by the device's own clock."""

from __future__ import annotations

from time import perf_counter

import torch
from torch import Tensor


class Stopwatch:
    """Runs from its making to `wait`, by a CUDA device's own clock where the work is on one."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began = self._mark() if device.type == "cuda" else None
        self._started = perf_counter()

    def wait(self) -> float:
        """Seconds, once all that the device was asked for is done: the one wait of a batch."""
        if self._began is None:
            return perf_counter() - self._started
        end = self._mark()
        end.synchronize()
        return float(self._began.elapsed_time(end)) / 1000

    def _mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event


def download(x: Tensor) -> Tensor:
    """On the host: from a CUDA device in pinned memory, to be read after a wait."""
    if x.device.type != "cuda":
        return x.cpu()
    host = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
    return host.copy_(x, non_blocking=True)


def pack(*columns: Tensor) -> Tensor:
    """Columns side by side, as float32: (rows, columns of all). Each (rows,) or (rows, columns)."""
    return torch.cat([c.float().view(len(c), -1) for c in columns], dim=1)
