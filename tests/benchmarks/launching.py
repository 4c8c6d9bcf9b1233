"""Compiles some kernels ahead, then launches them by way of a driver that starts nothing: how many
are compiled anew?

A program for a process of its own, in which Triton has no interpreter. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from benchmarks.kernels.recorder import recorded
from nestling.kernels import tiles
from nestling.kernels.layout import Groups
from nestling.kernels.operations import triton_operations
from nestling.kernels.prefix import Prefix


class Utils:
    """What loads machine code, and says what a card has."""

    def load_binary(self, *_: Any) -> tuple[int, ...]:
        return 0, 0, 32, 0, 1024

    def get_device_properties(self, _: int) -> dict[str, int]:
        return {"max_shared_mem": 232448, "multiprocessor_count": 132, "max_num_regs": 65536}


class Driver:
    """An H100 that is not there."""

    utils = Utils()

    def __init__(self) -> None:
        self.launched: list[str] = []

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _: int) -> int:
        return 0

    def launcher_cls(self, _: Any, metadata: Any) -> Any:
        return lambda *given, **options: self.launched.append(metadata.name)


def launch() -> None:
    """Four kernels."""
    operations = triton_operations()
    x, w = (torch.zeros(rows, 64, dtype=torch.bfloat16) for rows in (40, 32))
    b = torch.zeros(64, dtype=torch.bfloat16)
    whole, part = Prefix(w, b[:32]), Prefix(w[:16, :16], b[:16])
    operations.linear(x, [whole], Groups((0, 40)), "gelu")
    operations.linear(x, [whole, part], Groups((0, 10, 40)))
    operations.norm(x, x, [Prefix(b, b)], Groups((0, 40)), 1e-6)
    operations.gate(x, *[torch.ones(40)] * 4)


def compiled() -> int:
    """Kernels in Triton's cache."""
    return len(list(Path(os.environ["TRITON_CACHE_DIR"]).rglob("*.cubin")))


def main() -> None:
    with recorded("sm_90") as launches:
        launch()
    for variant in {each.variant for each in launches}:
        variant.compile("sm_90")
    ahead, there = compiled(), Driver()
    driver.set_active(there)
    with patch.object(tiles, "architecture", lambda device: "sm_90"):
        launch()
    result = {"ahead": ahead, "anew": compiled() - ahead, "launched": len(there.launched)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
