"""The numbers of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..client.connection import OK, Failure
from ..client.faults import Fault
from ..client.records import Ints, Records
from .latency import distribution, quantiles_ms
from .timeline import timeline


@dataclass(frozen=True)
class Truth:
    """labels: the right ones, by row of the data. reference: another model's, "" where unknown."""

    labels: NDArray[np.object_]
    reference: NDArray[np.object_] | None = None


def summarize(
    records: Records, seconds: float, objective_ms: float, truth: Truth, price_per_hour: float
) -> dict[str, Any]:
    """Everything that a report says of a run.

    records: without the warm-up, due from 0 to `seconds`. objective_ms: the time that an answer may
    take. price_per_hour: of the machine, in any currency; 0 if unknown.
    """
    faulty = records.requests.fault >= 0
    healthy = records.where(~faulty)
    requests = healthy.requests
    answered = requests.status == OK
    within = answered & (requests.latency <= objective_ms / 1e3)
    done = requests.due + requests.latency
    count = len(healthy)
    return {
        "requests": count,
        "texts": int(requests.sizes.sum()),
        "offered_per_second": count / seconds,
        "throughput_per_second": float((answered & (done <= seconds)).sum() / seconds),
        "goodput_per_second": float(within.sum() / seconds),
        "answered": int(answered.sum()),
        "within_objective": int(within.sum()),
        "within_objective_share": float(within.sum() / count) if count else 0.0,
        "outcomes": outcomes(requests.status),
        "latency_ms": quantiles_ms(requests.latency[answered]),
        "distribution": distribution(requests.latency[answered]),
        **_answers(healthy.where(answered), seconds, truth, price_per_hour),
        "brownout": _shares(requests.brownout[answered]),
        "faults": {
            fault.value: outcomes(records.requests.status[records.requests.fault == index])
            for index, fault in enumerate(Fault)
            if (records.requests.fault == index).any()
        },
        "client": {
            "lag_ms": quantiles_ms(records.requests.lag),
            "cpu_us_per_request": 1e6 * records.cpu_seconds / max(1, len(records)),
        },
        "timeline": timeline(requests, seconds),
    }


def value_at(run: dict[str, Any], place: str) -> float | None:
    """A number of a run, such as `accuracy` or `latency_ms.p99`; None where the run has none."""
    group, _, name = place.partition(".")
    found = run[group].get(name) if name else run[group]
    return None if found is None else float(found)


def outcomes(status: Ints) -> dict[str, int]:
    """The number of requests by HTTP status, or by the reason for which there is none."""
    values, counts = np.unique(status, return_counts=True)
    return {
        str(value) if value > 0 else Failure(value).name.lower(): int(number)
        for value, number in zip(values.tolist(), counts, strict=True)
    }


def _answers(
    records: Records, seconds: float, truth: Truth, price_per_hour: float
) -> dict[str, Any]:
    texts = records.texts
    if not len(texts.row):
        return {"accuracy": None, "agreement": None, "students": {}, "cost": {}}
    labels = np.array([*records.labels, ""], object)[texts.label]
    right = labels == truth.labels[texts.row]
    agreement = None
    if truth.reference is not None:
        known = truth.reference[texts.row] != ""
        agrees = labels == truth.reference[texts.row]
        agreement = float(agrees[known].mean()) if known.any() else None
    return {
        "accuracy": float(right.mean()),
        "agreement": agreement,
        "students": _students(records, right),
        "cost": _cost(records, seconds, price_per_hour),
    }


def _students(records: Records, right: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    texts = records.texts
    found = {}
    for index, name in enumerate(records.students):
        chosen = texts.student == index
        if chosen.any():
            found[name] = {
                "share": float(chosen.mean()),
                "accuracy": float(right[chosen].mean()),
                "relative_cost": float(texts.cost[chosen].mean()),
            }
    return dict(sorted(found.items(), key=lambda item: item[1]["relative_cost"]))


def _cost(records: Records, seconds: float, price_per_hour: float) -> dict[str, float]:
    """Per 1,000 requests, of what is known."""
    thousands = len(records) / 1e3
    found = {}
    if not np.isnan(records.texts.cost).all():
        found["relative"] = float(np.nansum(records.texts.cost) / thousands)
        found["relative_per_text"] = float(np.nanmean(records.texts.cost))
    if not np.isnan(records.texts.seconds).all():
        found["device_seconds"] = float(np.nansum(records.texts.seconds) / thousands)
    if price_per_hour:
        found["money_machine"] = price_per_hour * seconds / 3600 / thousands
        if "device_seconds" in found:
            found["money_device_time"] = price_per_hour * found["device_seconds"] / 3600
    return found


def _shares(values: Ints) -> dict[str, float]:
    levels, counts = np.unique(values, return_counts=True)
    return {
        str(level): float(number / len(values))
        for level, number in zip(levels, counts, strict=True)
    }
