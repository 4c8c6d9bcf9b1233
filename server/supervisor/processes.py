"""How many processes answer, and what of the limits each of them has."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import ceil
from pathlib import Path

from ...models.cores import cores
from ...models.errors import NestlingError
from ..settings import MOST_PROCESSES, Settings

NVIDIA = Path("/proc/driver/nvidia/version")
"""There where the driver of a GPU is."""


def how_many(settings: Settings) -> int:
    """Processes that answer: on a CPU one per core unless settings say otherwise, on a GPU one.

    Raises NestlingError where many are asked for, and a GPU computes.
    """
    wanted = settings.wanted_processes
    if wanted == 1 or sys.platform != "linux":  # by whose sockets connections are handed over
        return 1
    if on_gpu(settings):
        if wanted is not None:
            raise NestlingError(
                f"processes: {wanted}; on a GPU one process has the weights, and one serves: leave "
                "it at auto"
            )
        return 1
    return wanted or min(cores(), MOST_PROCESSES)


def on_gpu(settings: Settings) -> bool:
    """Whether a GPU computes. Where no driver is installed, that is known without asking one."""
    if settings.device != "auto":
        return settings.device != "cpu"
    if any(name.startswith(("CUDA", "Tensorrt")) for name in settings.providers):
        return True
    if not NVIDIA.exists():
        return False
    from ...models.device import use

    return use("auto") != "cpu"


def share_of(settings: Settings, processes: int, max_tokens: int) -> Settings:
    """The settings of one of so many processes: a limit of the whole server is divided, and a
    request of the largest size still fits in; so is the price, since each has its share of the
    device. Experiments are declared before.

    max_tokens: of one text, as the checkpoint has it.
    """
    largest = settings.max_client_batch * min(max_tokens, settings.max_batch_tokens)
    return replace(
        settings,
        experiments=None,
        store=settings.database,
        threads=settings.threads or max(1, cores() // processes),
        max_queued_requests=max(
            ceil(settings.max_queued_requests / processes), settings.max_client_batch
        ),
        max_queued_tokens=max(
            ceil(settings.max_queued_tokens / processes),
            min(settings.max_queued_tokens, largest),
        ),
        price_per_hour=settings.price_per_hour / processes,
    )
