"""How often experiments are wrong, and how soon they are right, when one looks every 100 units.

    python -m benchmarks.experiments.statistics

Each line of the result is `--runs` simulated experiments, judged by the product's own statistics at
every look. Beside them a z-test at a fixed horizon: looked at once, as it is meant to be, and at
every look, as it is often used. Prints JSON as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from nestling.experiments.metrics import Kind
from nestling.experiments.statistics.cuped import adjust
from nestling.experiments.statistics.lift import Lift, lift
from nestling.experiments.statistics.mean import MINIMUM_UNITS, mean_interval
from nestling.experiments.statistics.mixture import Mixture
from nestling.experiments.statistics.pairs import paired_lift
from nestling.experiments.statistics.sample_ratio import ALPHA, sample_ratio_p_value
from nestling.experiments.statistics.summary import Joint, Summary

EVERY = 100
LEVEL = 0.05
EFFECT = 0.1
"""In standard deviations."""
Values = np.ndarray
Draw = Callable[[np.random.Generator, int], Values]
DRAWS: dict[str, tuple[Draw, Kind]] = {
    "normal": (lambda rng, n: rng.normal(size=n), Kind.MEAN),
    "rate of 30 %": (lambda rng, n: 1.0 * (rng.random(n) < 0.3), Kind.RATE),
    "rate of 1 %": (lambda rng, n: 1.0 * (rng.random(n) < 0.01), Kind.RATE),
    "rate of 0.2 %": (lambda rng, n: 1.0 * (rng.random(n) < 0.002), Kind.RATE),
    "exponential": (lambda rng, n: rng.exponential(size=n), Kind.MEAN),
    "log-normal, sigma 1.5": (lambda rng, n: rng.lognormal(sigma=1.5, size=n), Kind.MEAN),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--units", type=int, default=20_000)
    given = parser.parse_args()
    runs, units = given.runs, given.units
    print(
        json.dumps(
            {
                "benchmark": "experiments",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "numpy")},
                "command": "python -m benchmarks.experiments.statistics",
                "runs": runs,
                "units": units,
                "look_every": EVERY,
                "level": LEVEL,
                "false_alarms": false_alarms(runs, units),
                "means_missed": means_missed(runs, units),
                "power": power(runs, units),
                "sample_ratio": sample_ratio(runs, units),
            }
        )
    )


def false_alarms(runs: int, units: int) -> list[dict[str, Any]]:
    """Share of A/A experiments in which any look finds a difference, by values and by split."""
    rows = []
    mixture = Mixture(LEVEL, units / 2)
    for name, (draw, kind) in DRAWS.items():
        for share in (0.5, 0.1):
            ours = textbook = peeked = 0
            for seed in range(runs):
                looks = list(walk(draw, 0.0, units, seed, share))
                ours += any(lift(t, c, kind, mixture).p_value <= LEVEL for t, c in looks)
                textbook += any(own_variances(t, c, mixture) <= LEVEL for t, c in looks)
                peeked += any(z_test(t, c) <= LEVEL for t, c in looks)
            rows.append(
                {
                    "values": name,
                    "share_of_treatment": share,
                    "anytime": ours / runs,
                    "anytime_with_own_variances": textbook / runs,
                    "z_test_peeked": peeked / runs,
                }
            )
    return rows


def own_variances(treatment: Summary, control: Summary, mixture: Mixture) -> float:
    """The p-value of the same line without the rules that `lift` adds for small samples."""
    error = sqrt(treatment.squared_error + control.squared_error)
    if min(treatment.n, control.n) < MINIMUM_UNITS or not error:
        return 1.0
    return mixture.p_value((treatment.mean - control.mean) / error, treatment.n + control.n)


def means_missed(runs: int, units: int) -> dict[str, float]:
    """Share of runs in which any look's interval for one mean leaves the true mean out."""
    truths = {"exponential": 1.0, "log-normal, sigma 1.5": float(np.exp(1.5**2 / 2))}
    missed = dict.fromkeys(truths, 0)
    mixture = Mixture(LEVEL, units / 2)
    for name, truth in truths.items():
        for seed in range(runs):
            for values, _ in walk(DRAWS[name][0], 0.0, units, seed, 1.0):
                interval = mean_interval(values, Kind.MEAN, mixture)
                if interval and truth not in interval:
                    missed[name] += 1
                    break
    return {name: count / runs for name, count in missed.items()}


def power(runs: int, units: int) -> dict[str, Any]:
    """Units until an effect of 0.1 standard deviations is found, and power by units."""
    normal = NormalDist()
    fixed = {
        f"{wanted:.0%}": round(
            4 * (normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(wanted)) ** 2 / EFFECT**2
        )
        for wanted in (0.8, 0.9, 0.95)
    }
    line = Mixture(LEVEL, fixed["80%"])
    ways: dict[str, Callable[[int], Iterator[Lift]]] = {
        "anytime": lambda seed: (
            lift(t, c, Kind.MEAN, line)
            for t, c in walk(DRAWS["normal"][0], EFFECT, units, seed, 0.5)
        ),
        "anytime, effect twice as large": lambda seed: (
            lift(t, c, Kind.MEAN, line)
            for t, c in walk(DRAWS["normal"][0], 2 * EFFECT, units, seed, 0.5)
        ),
        "anytime, CUPED with correlation 0.7": lambda seed: adjusted(units, seed, 0.7, line),
        "anytime, paired with correlation 0.7": lambda seed: paired(units, seed, 0.7, line),
    }
    found = {
        name: np.array([first(way(seed)) for seed in range(runs)]) for name, way in ways.items()
    }
    return {
        "effect_in_standard_deviations": EFFECT,
        "fixed_horizon_units": fixed,
        "z_test_power_by_units": {
            str(n): round(normal.cdf(EFFECT * sqrt(n) / 2 - normal.inv_cdf(1 - LEVEL / 2)), 3)
            for n in by(units)
        },
        "ways": {
            name: {
                "median_units": int(np.median(when)),
                "mean_units": round(float(when.mean())),
                "units_for_80_percent": int(np.quantile(when, 0.8)),
                "power_by_units": {str(n): float((when <= n).mean()) for n in by(units)},
            }
            for name, when in found.items()
        },
    }


def by(units: int) -> list[int]:
    return [n for n in (1000, 2000, 3000, 4000, 6000, 8000, 10_000) if n <= units]


def sample_ratio(runs: int, units: int) -> dict[str, Any]:
    """False alarms of an even split at any look, and units until an uneven one is found."""
    rows: dict[str, Any] = {"level": ALPHA}
    for share in (0.5, 0.48, 0.45):
        rng = np.random.default_rng(0)
        when = []
        for _ in range(runs):
            counts = rng.binomial(EVERY, share, units // EVERY).cumsum()
            alarms = (
                look * EVERY
                for look, count in enumerate(counts.tolist(), start=1)
                if sample_ratio_p_value([count, look * EVERY - count], [1, 1]) < ALPHA
            )
            when.append(next(alarms, 10 * units))
        found = np.array(when)
        rows[f"{share:.0%} instead of 50%"] = {
            "alarmed": float((found <= units).mean()),
            **({"median_units": int(np.median(found))} if share < 0.5 else {}),
        }
    return rows


def walk(
    draw: Draw, effect: float, units: int, seed: int, share: float
) -> Iterator[tuple[Summary, Summary]]:
    """Treatment and control at every look. share: of the units that are treated."""
    rng = np.random.default_rng(seed)
    treated = rng.random(units) < share
    values = draw(rng, units) + effect * treated
    at = np.arange(EVERY, units + 1, EVERY) - 1
    sums = [
        [
            np.cumsum(np.where(arm, column, 0.0))[at].tolist()
            for column in (np.ones(units), values, values**2)
        ]
        for arm in (treated, ~treated)
    ]
    for look in range(len(at)):
        treatment, control = (
            from_sums(int(n[look]), total[look], squares[look]) for n, total, squares in sums
        )
        yield treatment, control


def from_sums(n: int, total: float, squares: float) -> Summary:
    """From Σx and Σx²."""
    return Summary(n, total / n, max(0.0, squares - total**2 / n)) if n else Summary()


def adjusted(units: int, seed: int, correlation: float, mixture: Mixture) -> Iterator[Lift]:
    """As `walk` with normal values, and a covariate."""
    rng = np.random.default_rng(seed)
    control, treatment = Joint(), Joint()
    for _ in range(units // EVERY):
        treated = rng.random(EVERY) < 0.5
        x = rng.normal(size=EVERY)
        noise = sqrt(1 - correlation**2) * rng.normal(size=EVERY)
        y = correlation * x + noise + EFFECT * treated
        control = control.merge(Joint.of(y[~treated], x[~treated]))
        treatment = treatment.merge(Joint.of(y[treated], x[treated]))
        values = adjust([control, treatment])
        yield lift(values[1], values[0], Kind.MEAN, mixture)


def paired(units: int, seed: int, correlation: float, mixture: Mixture) -> Iterator[Lift]:
    """Both variants' values of each unit, normal and correlated."""
    rng = np.random.default_rng(seed)
    spread = sqrt(2 * (1 - correlation))
    differences = Summary()
    for _ in range(units // EVERY):
        differences = differences.merge(Summary.of(rng.normal(EFFECT, spread, EVERY)))
        yield paired_lift(differences, 0.0, Kind.MEAN, mixture)


def first(lifts: Iterator[Lift]) -> int:
    """Units at the first look that finds a difference; more than there are if none does."""
    units = 0
    for found in lifts:
        units = found.units
        if found.p_value <= LEVEL:
            return units
    return 10 * units


def z_test(treatment: Summary, control: Summary) -> float:
    """The p-value of a test that may be looked at once."""
    error = sqrt(treatment.squared_error + control.squared_error)
    if not error:
        return 1.0
    return 2 * NormalDist().cdf(-abs(treatment.mean - control.mean) / error)


if __name__ == "__main__":
    main()
