"""What comes back from a device: in one copy, waited for once, timed by the device's own clock."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]


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


def pack(answers: Tensor, *columns: Tensor) -> Tensor:
    """All side by side, as words: (rows, words) int32.

    answers: (rows,) int64, which two words hold whole; a float32 would lose what is beyond 2^24.
    columns: each (rows,) or (rows, columns), of any type; they become float32, of one word.
    """
    floats = [c.float().view(len(c), -1) for c in columns]
    whole = answers.contiguous().view(len(answers), 1)
    return torch.cat([each.view(torch.int32) for each in (whole, *floats)], dim=1)


def unpack(words: Tensor, columns: int) -> tuple[NDArray[np.int64], list[Floats], Floats]:
    """What `pack` has packed, on the host: the answers, so many columns of (rows,), and the last.

    They are copies, which let pinned memory go.
    """
    rows = words.numpy()
    answers = rows[:, :2].copy().view(np.int64)[:, 0]
    floats = rows[:, 2:].view(np.float32)
    return answers, list(floats[:, :columns].T.copy()), floats[:, columns:].copy()
