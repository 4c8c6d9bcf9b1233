"""The gate against the sequence of torch operations that it replaces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from nestling.kernels.gate import reference
from nestling.kernels.gate import triton as kernel

from .clock import Clock


def measure_gate(
    clock: Clock, rows: Sequence[int] = (8, 64, 512, 4096), labels: Sequence[int] = (2, 150, 1000)
) -> list[dict[str, Any]]:
    """Seconds of both, for bfloat16 logits."""
    cells = []
    for count in rows:
        for size in labels:
            logits = torch.randn(count, size, device=clock.device, dtype=torch.bfloat16)
            temperature = torch.ones(count, device=clock.device)
            threshold = torch.full_like(temperature, 0.5)
            given = (logits, temperature, threshold)
            seconds = clock.seconds(
                {"ours": partial(kernel.gate, *given), "torch": partial(reference.gate, *given)}
            )
            cells.append(
                {
                    "rows": count,
                    "labels": size,
                    "seconds": seconds,
                    "speedup": seconds["torch"] / seconds["ours"],
                }
            )
    return cells
