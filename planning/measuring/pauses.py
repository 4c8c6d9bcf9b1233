"""How often the machine stands still whatever runs on it: a virtual one, when its host is busy."""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import repeat
from multiprocessing import get_context
from time import perf_counter

from ..profile.costs import Pauses

LEAST = 1e-4
"""Seconds. What is shorter, an interrupt say, is in the times of what was interrupted."""
SECONDS = 10.0


def watch(cores: Collection[int], seconds: float = SECONDS) -> Pauses:
    """Keep all cores busy with looking at the clock, and note where it jumps."""
    with ProcessPoolExecutor(len(cores), get_context("spawn")) as pool:
        found = [gap for gaps in pool.map(_gaps, cores, repeat(seconds)) for gap in gaps]
    lengths = sorted(float(f"{gap:.3g}") for gap in found)
    return Pauses(len(found) / (seconds * len(cores)), tuple(lengths))


def _gaps(core: int, seconds: float) -> list[float]:
    os.sched_setaffinity(0, {core})
    with suppress(PermissionError):  # as the processes of a server under measurement
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    found = []
    before = perf_counter()
    end = before + seconds
    while before < end:
        now = perf_counter()
        if now - before >= LEAST:
            found.append(now - before)
        before = now
    return found
