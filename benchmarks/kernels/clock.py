"""Times functions side by side on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

Run = Callable[[], object]
FLUSH = 256 * 2**20
"""Bytes written between two runs: several times the L2 of any device, so that every run is cold."""


class Clock:
    """Medians of alternating runs, every one of them with a cold L2.

    On CUDA each function is captured in a graph first, so that short kernels are timed rather than
    their launches. On a CPU, where only tests come here, it is a plain clock.
    """

    def __init__(self, device: torch.device, repeats: int = 25) -> None:
        self.device, self.repeats = device, repeats
        self._cuda = device.type == "cuda"
        self._flush = torch.empty(FLUSH if self._cuda else 1, dtype=torch.int8, device=device)

    def seconds(self, runs: Mapping[str, Run]) -> dict[str, float]:
        """Median seconds of each run, by its name."""
        prepared = {name: self._captured(run) for name, run in runs.items()}
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(self.repeats):
            for name, run in prepared.items():
                taken[name].append(self._once(run))
        return {name: statistics.median(values) for name, values in taken.items()}

    def _captured(self, run: Run) -> Run:
        run()  # compiles what has to be compiled
        if not self._cuda:
            return run
        torch.cuda.synchronize()
        side = torch.Stream("cuda")
        with side:
            run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        return graph.replay

    def _once(self, run: Run) -> float:
        self._flush.zero_()
        if not self._cuda:
            started = time.perf_counter()
            run()
            return time.perf_counter() - started
        before, after = (
            torch.Event("cuda", enable_timing=True),
            torch.Event("cuda", enable_timing=True),
        )
        before.record()
        run()
        after.record()
        after.synchronize()
        milliseconds: float = before.elapsed_time(after)
        return milliseconds / 1e3


def copy_bandwidth(clock: Clock, size: int = 2**30) -> float:
    """Bytes per second that a large copy reads and writes."""
    source = torch.empty(size, dtype=torch.int8, device=clock.device)
    target = torch.empty_like(source)
    return 2 * size / clock.seconds({"copy": lambda: target.copy_(source)})["copy"]


def matrix_rate(clock: Clock, size: int = 8192) -> float:
    """Multiply-adds times two, per second, of a large square bfloat16 product."""
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=clock.device) for _ in range(2))
    return 2 * size**3 / clock.seconds({"product": lambda: a @ b})["product"]
