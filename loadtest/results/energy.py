"""The energy that the machine used, where it can be read: RAPL for processors, NVML for GPUs.

Both count everything that runs on the device, so the client too if it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """joules: reads a growing count, which starts again from 0 at `wraps`."""

    name: str
    joules: Callable[[], float]
    wraps: float


class Energy:
    """Counts from the moment at which it is made."""

    def __init__(self, counters: list[Counter], why_none: str = "") -> None:
        self._counters, self._why_none = counters, why_none
        self._before = [counter.joules() for counter in counters]

    def read(self, requests: int) -> dict[str, Any]:
        """Joules since then, by counter and per 1,000 requests; or why they cannot be read."""
        if not self._counters:
            return {"readable": False, "why": self._why_none}
        joules = {
            counter.name: (counter.joules() - before) % counter.wraps
            for counter, before in zip(self._counters, self._before, strict=True)
        }
        per_1000 = 1e3 * sum(joules.values()) / requests if requests else None
        return {"readable": True, "joules": joules, "joules_per_1000_requests": per_1000}


def start(local: bool, rapl: Path = RAPL) -> Energy:
    """Begin to count. local: whether the server is on this machine."""
    if not local:
        return Energy([], "the server is on another machine")
    counters, why = _gpus(), "neither RAPL nor NVML is readable here"
    try:
        counters += _processors(rapl)
    except OSError as error:  # RAPL is root's alone on many machines
        why = f"{error.filename}: {error.strerror}"
    return Energy(counters, why)


def _processors(root: Path) -> list[Counter]:
    counters = []
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") == 1:  # a package; its parts are counted in it
            name = (zone / "name").read_text().strip()
            wraps = int((zone / "max_energy_range_uj").read_text()) / 1e6
            read = _microjoules(zone / "energy_uj")
            read()  # raises here if it is not permitted
            counters.append(Counter(name, read, wraps))
    return counters


def _microjoules(file: Path) -> Callable[[], float]:
    return lambda: int(file.read_text()) / 1e6


def _gpus() -> list[Counter]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        for handle in handles:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return []  # no driver, or a GPU that does not count
    return [
        Counter(f"gpu-{index}", _millijoules(pynvml, handle), float("inf"))
        for index, handle in enumerate(handles)
    ]


def _millijoules(nvml: Any, handle: Any) -> Callable[[], float]:
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
