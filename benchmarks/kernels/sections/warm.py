"""Compiles ahead, in many processes, all that the sections after this one launch.

What was compiled lies in Triton's cache, where those find it. Beside our kernels that is the rival
in `transformers`, whose code lies in the cache of torch's compiler.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial

import torch

from ..cells import cascades
from ..devices import device_of
from ..launches import variants
from ..record import Record, Row
from ..recorder import Variant
from ..shapes import Shapes, shapes_for

PROCESSES = 14
ELSEWHERE = "sm_90"
"""The architecture that a rehearsal compiles for."""


def run(record: Record, name: str) -> None:
    device = device_of(name)
    shapes = shapes_for(device)
    architecture = ELSEWHERE
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        architecture = f"sm_{major}{minor}"
    processes = min(PROCESSES, max(1, (os.cpu_count() or 1) - 1))
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        # The rivals take longest, so they are first; the pool is at work while variants are found.
        pending = [pool.apply_async(task) for task in rivals(shapes, name, device.type == "cuda")]
        found = 0
        for part in variants(architecture, shapes):
            found += len(part)
            tasks = [partial(compiled, each, architecture) for each in part[: shapes.compiled]]
            pending += [pool.apply_async(task) for task in tasks]
        record.note(architecture=architecture, variants=found)
        for result in pending:
            try:
                title, row = result.get(timeout=max(0.0, record.left))
            except multiprocessing.TimeoutError:
                record.leave_out(1)  # those after it may well be ready
                continue
            record.keep("compiled", title, row)


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]


def compiled(variant: Variant, architecture: str) -> tuple[str, Row]:
    """Compile one variant. A failure is a row."""
    started = time.monotonic()
    row: Row = {"kernel": variant.kernel.partition(":")[2], "options": dict(variant.options)}
    try:
        row["shared_bytes"] = variant.compile(architecture).metadata.shared
    except Exception as error:  # this variant's alone
        row |= {"passed": False, "error": _message(error), "bound": "none"}
    row["took_seconds"] = round(time.monotonic() - started, 2)
    return row["kernel"], row


def rivals(shapes: Shapes, device: str, needed: bool) -> list[Callable[[], tuple[str, Row]]]:
    """A task for each shape in which the rival is compiled."""
    if not needed:
        return []
    return [
        partial(rival, device, name, texts, lengths)
        for name in cascades.architectures(small=False)
        for texts, lengths in shapes.forwards
    ]


def rival(device: str, name: str, texts: int, lengths: tuple[int, ...]) -> tuple[str, Row]:
    """One forward of the compiled model in `transformers`. A failure is a row."""
    started = time.monotonic()
    row: Row = {"kernel": f"{name} in transformers", "texts": texts}
    try:
        a = cascades.architectures(small=False)[name]
        run = cascades.padded(a, cascades.texts_of(a, texts, lengths), device_of(device))
        run()
        torch.cuda.synchronize()
    except Exception as error:  # this model's alone
        row |= {"passed": False, "error": _message(error), "bound": "none"}
    row["took_seconds"] = round(time.monotonic() - started, 2)
    return row["kernel"], row
