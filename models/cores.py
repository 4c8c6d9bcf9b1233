"""How many cores this process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Of the machine, less those that a container or `taskset` keeps from it."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
