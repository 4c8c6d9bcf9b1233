"""What one batch asks of a CUDA device: launches, copies, waits. Counted, without a device.

Usage: python -m benchmarks.kernels.forward

The shipped checkpoint answers a batch of short texts, all its students in it, on a device that is
not there (`pretended.py`): the first time that these students meet, and again. Nothing is timed.
Prints one JSON line, which is docs/benchmarks/forward.json.

uploads, downloads: copies between host and device; blocking: those of them that the host waits
for; waits: for an event; launches: of the product's kernels, and of torch's; variants: of the
product's kernels that are compiled for it; allocations: of device memory, from torch's cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import torch

from nestling.models import load_checkpoint
from nestling.models.runners.base import ForwardBatch
from nestling.models.runners.torch import TorchRunner

from .pretended import placed, pretended
from .recorder import recorded

LENGTHS = (4, 6, 7, 8, 9, 9, 10, 10, 11, 11, 12, 13, 14, 16, 19, 25)
"""Tokens of short texts, as many for each student."""

COPIES = ("uploads", "downloads", "blocking", "waits")


def main() -> None:
    cells = [cell for dtype in (torch.bfloat16, torch.float32) for cell in count(dtype)]
    result = {
        "benchmark": "forward",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m benchmarks.kernels.forward",
        "versions": {name: version(name) for name in ("torch", "triton")},
        "cells": cells,
    }
    print(json.dumps(result))


def count(dtype: torch.dtype) -> Iterator[dict[str, Any]]:
    """A batch at first, the same students again, and an embedding."""
    checkpoint = load_checkpoint(str(files("nestling.models") / "zoo" / "clinc150"))
    names = list(checkpoint.students)
    sequences = [[5] * n for _ in names for n in LENGTHS]
    runs = [(name, len(LENGTHS)) for name in names]
    batch = ForwardBatch.ruled(sequences, runs, [(1.0, 1.0, 1.0, 1.0)] * len(sequences))
    with pretended() as device:
        runner = TorchRunner(placed(checkpoint, dtype))
        for name, run in (
            ("first batch", lambda: runner.forward(batch)),
            ("next batch", lambda: runner.forward(batch)),
            ("embed", lambda: runner.embed(sequences[: len(LENGTHS)], names[0], 384)),
        ):
            device.counts.clear()
            with recorded() as launches:
                run()
            yield {
                "dtype": str(dtype).removeprefix("torch."),
                "what": name,
                **{each: device.counts[each] for each in COPIES},
                "launches": {"ours": len(launches), "torch": device.counts["launches"]},
                "variants": len({launch.variant for launch in launches}),
                "allocations": device.counts["allocations"],
            }


if __name__ == "__main__":
    main()
