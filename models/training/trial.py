"""What this machine does in a second: which precision trains faster, and how long a step takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

SECONDS = 1.0
"""Of each trial, unless `ENOUGH` runs are over sooner; at least two runs."""
ENOUGH = 8
FASTER = 0.9
"""bfloat16 rounds, so it has to take at most this share of float32's time."""


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Products in bfloat16, or all in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def attention(device: torch.device) -> AbstractContextManager[None]:
    """Which of torch's attentions trains. On a CPU the fused one's backward is so slow on short
    sequences that it takes a third of a step; the plain one's is not.
    """
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def seconds_per_step(
    loss: Callable[[int], Tensor], device: torch.device, bfloat16: bool, runs: int = 2
) -> float:
    """The least time of a forward and backward, over a trial of them.

    loss: of a step, counted from 0; each of `runs` steps in turn, so that their kinds all count.
    Gradients are left where they fall; clear them after.
    """
    least = [float("inf")] * runs
    began, step = time.perf_counter(), 0
    while step < 2 * runs or (step < ENOUGH * runs and time.perf_counter() - began < SECONDS):
        started = time.perf_counter()
        with autocast(device, bfloat16), attention(device):
            value = loss(step)
        torch.autograd.backward(value)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        least[step % runs] = min(least[step % runs], time.perf_counter() - started)
        step += 1
    return sum(least) / runs


def bfloat16_is_faster(
    loss: Callable[[int], Tensor], device: torch.device
) -> tuple[bool, float, float]:
    """Whether to train in bfloat16, how many times as fast it is as float32 here, and the seconds
    of a step in what is chosen.
    """
    slow, fast = (seconds_per_step(loss, device, each, runs=1) for each in (False, True))
    faster = fast < FASTER * slow
    return faster, slow / fast, fast if faster else slow
