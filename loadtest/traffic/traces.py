"""Recorded traffic: moments of arrival, or requests per second.

Three forms, told apart by their beginning: CSV with a first column of dates (Azure's LLM inference
traces, https://github.com/Azure/AzurePublicDataset), one moment in seconds per line, and one line
of many whole numbers, which are requests per second. Each may be compressed by gzip or xz.
"""

from __future__ import annotations

import gzip
import lzma
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadtestError, check_above, check_at_least
from .arrivals import arrivals
from .rates import Rate
from .spacing import Spacing

OPENERS: dict[str, Callable[..., IO[str]]] = {".gz": gzip.open, ".xz": lzma.open}


@dataclass(frozen=True)
class Trace:
    """Either moments (seconds from the first, ascending) or counts (per second), float64."""

    name: str
    moments: NDArray[np.float64] | None = None
    counts: NDArray[np.float64] | None = None

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        if self.counts is not None:
            return float(len(self.counts))
        assert self.moments is not None
        return float(self.moments[-1])


def read_trace(path: Path) -> Trace:
    """Read a trace. Raises LoadtestError for a file that is none."""
    try:
        with OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        raise LoadtestError(f"{path}: cannot be read as a trace: {error}") from error
    lines = text.split("\n", 2)
    try:
        if "," in lines[0]:
            dates = [line.partition(",")[0] for line in text.splitlines()[1:] if line]
            moments = np.array(dates, "datetime64[ns]").astype(np.int64) / 1e9
        elif len(lines[0].split()) > 1:
            return Trace(path.name, counts=_checked(path, np.array(text.split(), np.float64)))
        else:
            moments = np.array(text.split(), np.float64)
    except ValueError as error:
        raise LoadtestError(f"{path}: is no trace: {error}") from error
    moments = np.sort(_checked(path, moments))
    if moments[-1] == moments[0]:
        raise LoadtestError(f"{path}: all arrivals are at the same moment")
    return Trace(path.name, moments=moments - moments[0])


def _checked(path: Path, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(values) < 2 or not np.isfinite(values).all() or (values < 0).any():
        raise LoadtestError(f"{path}: a trace has two or more numbers, none below 0")
    return values


def replay(
    trace: Trace,
    seconds: float,
    rng: np.random.Generator,
    rate: float | None = None,
    speed: float = 1.0,
    begin: float = 0.0,
) -> tuple[NDArray[np.float64], float]:
    """A part of a trace, with the length and the rate that are wanted.

    begin: where in the trace the part begins, in the trace's seconds. speed: how many of the
    trace's seconds pass in one. rate: the mean wanted, per second; arrivals are then dropped or
    copied at random, and a copy falls anywhere before the next arrival. None keeps the trace's own
    rate. Returns the moments, ascending, and the mean rate. Raises LoadtestError for a part outside
    of the trace, or without arrivals.
    """
    check_above("seconds", seconds, 0)
    check_above("trace-speed", speed, 0)
    check_at_least("trace-begin", begin, 0)
    if begin + seconds * speed > trace.seconds + 1:
        raise LoadtestError(
            f"trace: {trace.name} lasts {trace.seconds:.0f} s; {seconds:g} s at speed {speed:g} "
            f"from {begin:g} s on end at {begin + seconds * speed:.0f} s"
        )
    if trace.counts is not None:
        return _by_counts(trace.counts, seconds, rng, rate, speed, begin)
    assert trace.moments is not None
    moments = (trace.moments - begin) / speed
    moments = moments[(moments >= 0) & (moments < seconds)]
    if not len(moments):
        raise LoadtestError(f"trace: {trace.name} has no arrivals in that stretch")
    mean = len(moments) / seconds
    if rate is None:
        return moments, mean
    check_above("rate", rate, 0)
    whole, part = divmod(rate / mean, 1)
    copies = int(whole) + (rng.random(len(moments)) < part)
    gaps = np.diff(moments, append=seconds)
    shift = rng.random(int(copies.sum())) * np.repeat(gaps, copies)
    firsts = (np.cumsum(copies) - copies)[copies > 0]
    shift[firsts] = 0
    return np.sort(np.repeat(moments, copies) + shift), rate


def _by_counts(
    counts: NDArray[np.float64],
    seconds: float,
    rng: np.random.Generator,
    rate: float | None,
    speed: float,
    begin: float,
) -> tuple[NDArray[np.float64], float]:
    stretch = counts[int(begin) : int(begin) + math.ceil(seconds * speed)]
    mean = float(stretch.mean()) * speed
    if not mean:
        raise LoadtestError("trace: has no arrivals in that stretch")
    if rate is not None:
        check_above("rate", rate, 0)
        stretch = stretch * (rate / mean)
    times = np.arange(len(stretch) + 1) / speed
    profile = Rate(times, np.concatenate(([0.0], np.cumsum(stretch))))
    moments = arrivals(profile, Spacing.POISSON, rng)
    return moments[moments < seconds], rate or mean
