"""How many cores this process may use."""

from __future__ import annotations

import os
from math import ceil, inf
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
"""Where the system shows control groups: version 2, or a folder per controller of version 1."""
OWN = Path("/proc/self/cgroup")
"""The groups that this process is in."""


def cores() -> int:
    """Of the machine, less those that a container or `taskset` keeps from it. Of a quota of CPU
    time, such as `docker run --cpus` sets, a fraction counts as a whole core.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux
        return max(1, min(len(os.sched_getaffinity(0)), ceil(min(_quota(), 2**16))))
    return os.cpu_count() or 1


def _quota() -> float:
    """Cores' worth of time that the groups of this process give it; infinite without a limit."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return inf
    found = [inf]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, read = GROUPS, _of_version_2
        elif "cpu" in controllers.split(","):
            root, read = GROUPS / "cpu", _of_version_1
        else:
            continue
        # A container sees its own group as the root, though it may know it by another name.
        inside = PurePosixPath(group.lstrip("/"))
        found += [read(root / each) for each in (inside, *inside.parents)]
    return min(found)


def _of_version_2(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except OSError:
        return inf
    return inf if quota == "max" else int(quota) / int(period)


def _of_version_1(folder: Path) -> float:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except OSError:
        return inf
    return inf if quota <= 0 else quota / period
