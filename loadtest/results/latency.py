"""Quantiles of latency, as far into the tail as the sample reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = (50.0, 90.0, 95.0, 99.0, 99.9, 99.99)
BEYOND = 10
"""The least number of samples beyond a quantile: fewer would say nothing."""
POINTS = 200
"""How many points of the distribution a report keeps."""


def quantiles_ms(seconds: NDArray[np.float32]) -> dict[str, float]:
    """`p50` to `p99.99` in milliseconds, as far as enough samples lie beyond; mean and max."""
    if not len(seconds):
        return {}
    enough = [q for q in LEVELS if len(seconds) * (1 - q / 100) >= BEYOND - 1e-6]
    values = np.quantile(seconds, np.array(enough) / 100) if enough else ()
    found = {f"p{q:g}": 1e3 * float(value) for q, value in zip(enough, values, strict=True)}
    return found | {"mean": 1e3 * float(seconds.mean()), "max": 1e3 * float(seconds.max())}


def distribution(seconds: NDArray[np.float32]) -> dict[str, list[float]]:
    """The cumulative distribution, close together in the tail.

    `beyond`: the share of requests that took longer than `ms`, from 1 down to one in the sample.
    """
    if not len(seconds):
        return {"beyond": [], "ms": []}
    beyond = np.geomspace(1, 1 / len(seconds), POINTS)
    return {
        "beyond": [float(f"{share:.4g}") for share in beyond],
        "ms": [round(1e3 * float(v), 3) for v in np.quantile(seconds, 1 - beyond)],
    }


def interval(hits: int, tries: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a share, at 95 % (Wilson, JASA 22:209, 1927, eq. 4)."""
    if not tries:
        return 0.0, 1.0
    share, width = hits / tries, z * z / tries
    middle = (share + width / 2) / (1 + width)
    half = z / (1 + width) * float(np.sqrt(share * (1 - share) / tries + width / (4 * tries)))
    return max(0.0, middle - half), min(1.0, middle + half)
