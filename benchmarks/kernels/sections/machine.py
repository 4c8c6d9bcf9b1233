"""What card this is, and what it can do at best."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import asdict
from typing import Any

import torch

from .. import ceilings
from ..clock import Clock
from ..devices import device_of
from ..record import Record, Row
from ..shapes import shapes_for
from ..versions import versions

ASKED = (
    "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.draw,power.limit,"
    "temperature.gpu,memory.total,memory.used,compute_mode,persistence_mode"
)


def run(record: Record, name: str) -> None:
    record.note(
        cpu=platform.processor() or platform.machine(),
        cores=os.cpu_count(),
        versions=versions("torch", "triton", "numpy", "transformers"),
        cuda=torch.version.cuda,
    )
    record.rows("nvidia_smi", [("idle", nvidia_smi)])
    device = device_of(name)
    if device.type == "cuda":
        record.note(card=card(device))
    shapes = shapes_for(device)
    clock = Clock(device, shapes.repeats, shapes.calls)
    record.rows(
        "ceilings", [("all", lambda: asdict(ceilings.measure(clock, shapes.copied, shapes.matrix)))]
    )
    record.rows("nvidia_smi", [("after products", nvidia_smi)])


def nvidia_smi() -> Row:
    """What the driver says of each card. Nothing is set."""
    found = shutil.which("nvidia-smi")
    if found is None:
        raise FileNotFoundError("nvidia-smi: not on the PATH")
    command = [found, f"--query-gpu={ASKED}", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    names = ASKED.split(",")
    cards = [
        dict(zip(names, map(str.strip, line.split(",")), strict=False))
        for line in said.stdout.strip().splitlines()
    ]
    return {"cards": cards}


def card(device: torch.device) -> dict[str, Any]:
    """What torch says of it. l2, memory: bytes."""
    found = torch.cuda.get_device_properties(device)
    return {
        "name": found.name,
        "count": torch.cuda.device_count(),
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "l2": found.L2_cache_size,
        "memory": found.total_memory,
    }
