"""From turns to numbers: medians, spreads, and how many times as much.

Servers take turns within a repeat, so that a change of the machine meets all alike; ratios are
therefore taken within each repeat. Their median counts; least and greatest are their spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from .registry import BF16, DEFAULT, FP32, INT8, OURS


@dataclass(frozen=True)
class Cell:
    """A column. key: in a run. unit: behind a number. digits: of it, after the point."""

    key: str
    title: str
    higher_is_better: bool
    unit: str = ""
    digits: int = 0


KNEE = Cell("knee_per_second", "requests/s, p99 ≤ 100 ms", True)
LISTS = Cell("list_texts_per_second", "texts/s in lists of 32", True)
AT_REST = Cell("p50_ms", "p50 at 20 requests/s", False, " ms", 1)
CELLS = (KNEE, LISTS, AT_REST)


@dataclass(frozen=True)
class Target:
    """What is to be reached in a cell against the best peer. precisions: of that peer, () for any.

    factor: ours over theirs, at least where more is better, else at most.
    """

    cell: Cell
    precisions: tuple[str, ...]
    factor: float

    @property
    def among(self) -> str:
        """Whom it is held against, in words."""
        return " or ".join(self.precisions) or "any"


TARGETS = (
    Target(KNEE, (FP32,), 10.0),
    Target(KNEE, (INT8, BF16), 5.0),
    Target(LISTS, (FP32,), 8.0),
    Target(AT_REST, (), 0.4),
)


@dataclass(frozen=True)
class Spread:
    """Over repeats."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """Of ours over the best peer's: name of that peer, and the verdict on a target."""

    target: Target
    peer: str
    of: Spread

    @property
    def met(self) -> bool:
        """By the median."""
        reached, factor = self.of.median, self.target.factor
        return reached >= factor if self.target.cell.higher_is_better else reached <= factor


def measured(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The servers that have at least one turn, in the order of the file."""
    return {name: server for name, server in content["servers"].items() if server["runs"]}


def spread(server: dict[str, Any], key: str) -> Spread:
    """Of one number over a server's turns."""
    return _spread([run[key] for run in server["runs"]])


def ours(content: dict[str, Any]) -> str | None:
    """Whose ratios are taken: Nestling by default, or its int8 where only that was measured."""
    return next((name for name in (DEFAULT, OURS) if name in measured(content)), None)


def best(content: dict[str, Any], cell: Cell, *precisions: str) -> str | None:
    """The peer with the best median, of some precisions or of any. None without one."""
    peers = {
        name: spread(server, cell.key).median
        for name, server in measured(content).items()
        if not server["ours"] and (not precisions or server["precision"] in precisions)
    }
    choose = max if cell.higher_is_better else min
    return choose(peers, key=lambda name: peers[name]) if peers else None


def ratios(content: dict[str, Any]) -> list[Ratio]:
    """One for each target that can be judged: ours and a peer have a repeat in common."""
    found, us = [], ours(content)
    for target in TARGETS:
        peer = best(content, target.cell, *target.precisions)
        if peer is None or us is None:
            continue
        mine, theirs = (_by_repeat(content, name, target.cell.key) for name in (us, peer))
        common = [mine[repeat] / theirs[repeat] for repeat in mine if repeat in theirs]
        if common:
            found.append(Ratio(target, peer, _spread(common)))
    return found


def _by_repeat(content: dict[str, Any], name: str, key: str) -> dict[int, float]:
    return {run["repeat"]: run[key] for run in content["servers"][name]["runs"]}


def _spread(values: list[float]) -> Spread:
    return Spread(median(values), min(values), max(values))
