"""How soon the watch over a promise sees it broken, and how often it is wrong.

    python -m benchmarks.server.monitor

Simulated shadow texts, each answered otherwise than by the TA with a stated risk, are given to the
detector that raises the server's alarm, and beside it to the confidence sequence that raised it
before: its lower bound, at 95 %, above the promise. Delays are texts from a change of the risk to
the alarm, after so many quiet texts. False alarms are counted at the promised risk itself, the
worst that breaks nothing, in streams that begin anew after each; then with every text five times in
a row, with the server's window of repeats before the detector and without. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from nestling.models.calibration.anytime import PRIOR
from nestling.models.calibration.drift import BETS, MEAN_TIME, advanced, bets
from nestling.server.core.guarantee_monitor import DELTA
from nestling.server.core.repeats import RepeatWindow

TIMES = (2, 4)
"""By which the risk exceeds the promise after the change."""
QUIET = (0, 10_000, 50_000)
"""Texts before it."""
REPEATED = 5
BLOCK = 10_000
Losses = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alpha", type=float, default=0.005, help="the promise")
    parser.add_argument("--quiet", type=float, default=0.0022, help="the risk before the change")
    parser.add_argument("--streams", type=int, default=400, help="for each delay")
    parser.add_argument("--texts", type=float, default=1e7, help="of one run of false alarms")
    parser.add_argument("--runs", type=int, default=10)
    given = parser.parse_args()
    alpha = given.alpha
    print(
        json.dumps(
            {
                "benchmark": "monitor",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": "python -m benchmarks.server.monitor",
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {name: version(name) for name in ("nestling", "numpy", "scipy")},
                "alpha": alpha,
                "quiet_risk": given.quiet,
                "streams": given.streams,
                "delays": {
                    str(times): {
                        str(quiet): delays(alpha, times * alpha, given.quiet, quiet, given.streams)
                        for quiet in QUIET
                    }
                    for times in TIMES
                },
                "false_alarms": false_alarms(alpha, int(given.texts), given.runs),
            }
        )
    )


def delays(alpha: float, risk: float, before: float, quiet: int, streams: int) -> dict[str, Any]:
    """Mean texts from the change to the alarm, with the standard error, of both rules."""
    random = np.random.default_rng([quiet, round(risk / alpha)])
    values, sums = np.zeros((streams, BETS)), np.zeros(streams)
    for block in blocks(random, before, streams, quiet):
        values, _ = detected(values, block, alpha)
        sums += block.sum(axis=1)
    found = {name: np.zeros(streams) for name in ("detector", "sequence")}
    texts = 0
    while not all(each.all() for each in found.values()):
        block = random.random((streams, BLOCK)) < risk
        values, alarms = detected(values, block, alpha)
        above = refuted(block, alpha, sums, quiet + texts)
        for name, seen in (("detector", alarms), ("sequence", above)):
            first = np.where(seen.any(axis=1), texts + seen.argmax(axis=1) + 1, 0)
            found[name] = np.where(found[name] > 0, found[name], first)
        sums += block.sum(axis=1)
        texts += BLOCK
    return {
        name: {
            "mean": round(float(each.mean()), 1),
            "error": round(float(each.std(ddof=1) / np.sqrt(streams)), 1),
        }
        for name, each in found.items()
    }


def false_alarms(alpha: float, texts: int, runs: int) -> dict[str, Any]:
    """The detector's alarms at the promised risk; share of streams with one of the sequence's."""
    streams = 100
    length = texts // streams
    kinds = ("once", "repeated", "repeated, without the window")
    alarms: dict[str, list[int]] = {kind: [] for kind in kinds}
    alarmed: dict[str, list[float]] = {kind: [] for kind in kinds}
    counts = first_times(length)
    for run in range(runs):
        random = np.random.default_rng([run, 1])
        once = random.random((streams, length)) < alpha
        again = np.repeat(random.random((streams, length // REPEATED)) < alpha, REPEATED, axis=1)
        for kind, losses in zip(kinds, (once, again[:, counts], again), strict=True):
            _, found = detected(np.zeros((streams, BETS)), losses, alpha)
            alarms[kind].append(int(found.sum()))
            above = refuted(losses, alpha, np.zeros(streams), 0)
            alarmed[kind].append(float(above.any(axis=1).mean()))
    return {
        kind: {
            "texts": runs * texts,
            "counted": runs * (texts // REPEATED if kind == "repeated" else texts),
            "alarms": sum(alarms[kind]),
            "alarms_by_run": alarms[kind],
            "streams": runs * streams,
            "sequence_alarmed": round(float(np.mean(alarmed[kind])), 4),
        }
        for kind in kinds
    } | {"promised_mean_time": MEAN_TIME}


def first_times(length: int) -> Losses:
    """Which texts of a stream count, each of which comes several times in a row."""
    window = RepeatWindow()
    return np.array([window.is_new([text // REPEATED]) for text in range(length)])


def blocks(random: np.random.Generator, risk: float, streams: int, texts: int) -> Iterator[Losses]:
    """(streams, BLOCK or fewer) losses, until each stream has had so many texts."""
    for start in range(0, texts, BLOCK):
        yield random.random((streams, min(BLOCK, texts - start))) < risk


def detected(
    values: NDArray[np.float64], losses: Losses, alpha: float
) -> tuple[NDArray[np.float64], Losses]:
    """The detectors after all texts, (streams, bets), and where they alarmed, (streams, texts).

    Each begins anew after its alarm.
    """
    by, alarms = bets(alpha), np.zeros(losses.shape, bool)
    for text in range(losses.shape[1]):
        values = advanced(values, losses[:, text], alpha, by)
        alarms[:, text] = values.mean(axis=1) >= MEAN_TIME
        if alarms[:, text].any():
            values[alarms[:, text]] = 0
    return values, alarms


def refuted(losses: Losses, alpha: float, before: NDArray[np.float64], texts: int) -> Losses:
    """Where the lower bound of `anytime.rate_bounds` is above alpha. before: losses until now."""
    a, b = PRIOR
    successes = before[:, None] + np.cumsum(losses, axis=1)
    trials = texts + np.arange(1, losses.shape[1] + 1)
    failures = trials - successes
    mixture = betaln(a + successes, b + failures) - betaln(a, b) + np.log(DELTA)
    likelihood = successes * np.log(alpha) + failures * np.log1p(-alpha)
    above: Losses = (likelihood < mixture) & (successes > alpha * trials)
    return above


if __name__ == "__main__":
    main()
