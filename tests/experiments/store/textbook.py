"""The numbers of reports, computed from the rows with NumPy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from nestling.experiments.records import Exposure
from nestling.experiments.statistics.summary import Joint, Summary
from nestling.experiments.store.comparison import MetricSummary
from nestling.experiments.store.observations import Scope

from .samples import exposure

SCOPE = Scope("colours", "first")
VARIANTS = ("red", "blue")


def joint(y: np.ndarray, x: np.ndarray) -> Joint:
    """By the textbook, in float64."""
    n = len(y)
    dy, dx = y - y.mean(), x - x.mean()
    return Joint(
        Summary(n, y.mean(), (dy * dy).sum()),
        Summary(n, x.mean(), (dx * dx).sum()),
        (dy * dx).sum(),
    )


def close(
    found: MetricSummary | Joint | Summary,
    expected: MetricSummary | Joint | Summary,
    scale: float = 1.0,
) -> None:
    """scale: of the values; their own rounding is a 1e-16th of it, that of their squares is not."""
    tolerance = 1e-9 + 1e-14 * scale
    assert flatten(asdict(found)) == pytest.approx(
        flatten(asdict(expected)), rel=tolerance, abs=tolerance
    )


def flatten(tree: dict[str, Any]) -> list[float]:
    return [
        number
        for value in tree.values()
        for number in (flatten(value) if isinstance(value, dict) else [value])
    ]


def stream(requests: int, units: int, seed: int = 0, offset: float = 0.0) -> list[Exposure]:
    """Units that come back, in two variants by their number's parity."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(requests):
        unit = int(rng.integers(units))
        rows.append(
            exposure(
                number,
                unit=f"unit-{unit}",
                variant=VARIANTS[unit % 2],
                latency_seconds=offset + float(rng.lognormal(-4)),
                covariate=None if unit % 5 == 0 else float(unit % 7),
            )
        )
    return rows


def by_unit(rows: list[Exposure], values: list[float], variant: str) -> dict[str, float]:
    seen: dict[str, list[float]] = {}
    for row, value in zip(rows, values, strict=True):
        if row.variant == variant:
            seen.setdefault(row.unit, []).append(value)
    return {unit: float(np.mean(observed)) for unit, observed in seen.items()}


def expected(rows: list[Exposure], values: list[float], variant: str) -> MetricSummary:
    means = by_unit(rows, values, variant)
    covariates = {row.unit: row.covariate for row in rows}
    y = np.array(list(means.values()))
    known = [unit for unit in means if covariates[unit] is not None]
    x = np.array([covariates[unit] for unit in known])
    covaried = joint(np.array([means[unit] for unit in known]), x)
    return MetricSummary(joint(y, y).outcome, covaried)
