"""What the device can do at best, as measured on it: the floor under every time.

A call that moves so many bytes and does so many operations takes at least

    floor = max(bytes / bandwidth, operations / rate) + time of an empty launch
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton

from .clock import Clock
from .devices import Random

COPIED = 2**30
"""Bytes of the large copy."""
MATRIX = 8192
"""Rows and columns of the large product."""


@triton.jit
def empty_kernel(x):  # type: ignore[no-untyped-def]
    """Does nothing: its time is that of a launch."""


@dataclass(frozen=True)
class Ceilings:
    """bandwidth: bytes read and written per second. rates: operations per second of products, by
    kind of arithmetic. launch: seconds of an empty launch within a graph.
    """

    bandwidth: float
    rates: dict[str, float]
    launch: float

    def floor(self, moved: float, operations: float, dtype: torch.dtype) -> float:
        """The least seconds of a call that moves so many bytes and does so many operations."""
        return max(moved / self.bandwidth, operations / self.rate(dtype)) + self.launch

    def rate(self, dtype: torch.dtype) -> float:
        """Operations per second of our products: three in tf32 make one in float32."""
        return self.rates["tf32"] / 3 if dtype == torch.float32 else self.rates["bfloat16"]


def measure(clock: Clock, copied: int = COPIED, matrix: int = MATRIX) -> Ceilings:
    """Measure all of them; a few seconds."""
    return Ceilings(
        copy_bandwidth(clock, copied),
        {
            "bfloat16": matrix_rate(clock, torch.bfloat16, matrix),
            "tf32": matrix_rate(clock, torch.float32, matrix, tf32=True),
            "float32": matrix_rate(clock, torch.float32, matrix // 2),
        },
        launch_seconds(clock),
    )


def copy_bandwidth(clock: Clock, size: int = COPIED) -> float:
    """Bytes per second that a large copy reads and writes."""
    source = torch.zeros(size, dtype=torch.int8, device=clock.device)
    target = torch.empty_like(source)
    timed = clock.compare({"copy": lambda _: target.copy_(source)})
    return 2 * size / timed.seconds("copy")


def matrix_rate(clock: Clock, dtype: torch.dtype, size: int, tf32: bool = False) -> float:
    """Multiply-adds times two, per second, of a large square product."""
    random = Random(clock.device)
    a, b = (random.normal(size, size, dtype=dtype) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        timed = clock.compare({"product": lambda _: torch.mm(a, b)})
    finally:
        torch.set_float32_matmul_precision(before)
    return 2 * size**3 / timed.seconds("product")


def launch_seconds(clock: Clock) -> float:
    """Of one launch of a kernel that does nothing, among others in a graph."""
    x = torch.zeros(16, device=clock.device)
    timed = clock.compare({"empty": lambda _: empty_kernel[(1,)](x)})
    return timed.seconds("empty")
