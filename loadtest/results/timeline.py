"""What happened in each second."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..client.records import Requests

SHED = 429


def timeline(requests: Requests, seconds: float) -> dict[str, list[Any]]:
    """Columns, one value for each second in which requests were due; of latency, null if none.

    A last second that is not whole is left out.
    """
    whole = max(1, math.floor(seconds + 1e-6))
    second = np.minimum(requests.due.astype(np.int64), whole)
    answered = requests.status == 200
    shed = requests.status == SHED

    def count(chosen: Any) -> list[int]:
        counts: list[int] = np.bincount(second[chosen], minlength=whole)[:whole].tolist()
        return counts

    brownout = np.zeros(whole + 1, np.int64)
    np.maximum.at(brownout, second, requests.brownout)
    p50, p99 = [], []
    for moment in range(whole):
        latencies = requests.latency[answered & (second == moment)]
        p50.append(_ms(latencies, 0.5))
        p99.append(_ms(latencies, 0.99))
    return {
        "sent": count(slice(None)),
        "answered": count(answered),
        "shed": count(shed),
        "failed": count(~(answered | shed)),
        "brownout": brownout[:whole].tolist(),
        "p50_ms": p50,
        "p99_ms": p99,
    }


def _ms(latencies: Any, level: float) -> float | None:
    return round(1e3 * float(np.quantile(latencies, level)), 3) if len(latencies) else None
