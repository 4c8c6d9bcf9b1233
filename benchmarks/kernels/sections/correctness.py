"""Every operation on this device against float64 on the CPU, from fixed seeds."""

from __future__ import annotations

import torch

from ..checks import attention, forward, gate, graph, linear, norm, set_gate
from ..devices import device_of
from ..record import Record


def run(record: Record, name: str) -> None:
    """Whole forwards first: they touch everything."""
    device = device_of(name)
    torch.set_float32_matmul_precision("highest")
    for operation in (forward, linear, graph, norm, gate, set_gate, attention):
        record.rows("checks", operation.checks(device))
