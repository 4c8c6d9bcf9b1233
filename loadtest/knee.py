"""The knee: the highest rate at which 99 % of the requests are answered within the objective.

Rates are multiplied (or divided) by a factor until one holds and one does not, then the gap is
halved on a logarithmic scale. A probe is a sample: as long as Wilson's interval of its share within
the objective contains 99 %, the same rate is tried again and the probes are pooled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .errors import FellBehindError, LoadtestError, check_above, check_at_least
from .results.latency import interval

SHARE = 0.99
"""Of the requests sent, the share that must be answered within the objective. A request without an
answer is not."""
STEPS = 20
"""The most rates that are tried until one holds and one does not."""


class StepVerdict(StrEnum):
    """What is known of a rate. CLIENT: the client could not send that much."""

    HOLDS = "holds"
    FAILS = "fails"
    CLIENT = "client"


@dataclass(frozen=True)
class Search:
    """How the knee is searched for.

    start: the first rate, per second. seconds, samples: the least length of a probe, and the least
    number of its requests; of 1,000, ten are beyond p99. tolerance: the relative gap between rates
    at which the search ends. tries: how many probes of one rate may be pooled. factor: between
    successive rates until one holds and one does not; it can be small if `start` is near the knee.
    """

    start: float
    seconds: float = 10.0
    tolerance: float = 0.05
    tries: int = 3
    samples: int = 1000
    factor: float = 2.0

    def __post_init__(self) -> None:
        check_above("rate", self.start, 0)
        check_above("seconds", self.seconds, 0)
        check_above("tolerance", self.tolerance, 0)
        check_at_least("tries", self.tries, 1)
        check_above("factor", self.factor, 1)


@dataclass
class Knee:
    """A search. probe: sends a rate for so many seconds, and returns the summary."""

    search: Search
    probe: Callable[[float, float], dict[str, Any]]
    tell: Callable[[str], None] = print
    probes: list[dict[str, Any]] = field(default_factory=list)

    def find(self) -> dict[str, Any]:
        """The highest rate that held, the lowest that did not, and why it ended there.

        Raises LoadtestError if no rate holds, or none fails.
        """
        low, high, why = self._bracket()
        while high / low > 1 + self.search.tolerance:
            middle = math.sqrt(low * high)
            verdict = self._judge(middle)
            if verdict is StepVerdict.HOLDS:
                low = middle
            else:
                high, why = middle, verdict
        return {
            "rate_per_second": low,
            "fails_at_per_second": high,
            "limited_by": "client" if why is StepVerdict.CLIENT else "server",
            "share": SHARE,
            "tolerance": self.search.tolerance,
            "probes": self.probes,
        }

    def _bracket(self) -> tuple[float, float, StepVerdict]:
        rate = self.search.start
        verdict = self._judge(rate)
        up = verdict is StepVerdict.HOLDS
        factor = self.search.factor
        for _ in range(STEPS):
            following = rate * factor if up else rate / factor
            before, verdict = verdict, self._judge(following)
            if up and verdict is not StepVerdict.HOLDS:
                return rate, following, verdict
            if not up and verdict is StepVerdict.HOLDS:
                return following, rate, before
            rate = following
        raise LoadtestError(
            f"knee: every rate up to {rate:g} per second holds"
            if up
            else f"knee: not even {rate:g} per second holds; is the objective below what one "
            "request takes?"
        )

    def _judge(self, rate: float) -> StepVerdict:
        within = sent = 0
        seconds = max(self.search.seconds, self.search.samples / rate)
        for attempt in range(self.search.tries):
            try:
                summary = self.probe(rate, seconds)
            except FellBehindError as error:
                self.tell(f"{rate:,.1f}/s: {error}")
                return StepVerdict.CLIENT
            within += summary["within_objective"]
            sent += summary["requests"]
            low, high = interval(within, sent)
            clear = low > SHARE or high < SHARE
            verdict = StepVerdict.HOLDS if within >= SHARE * sent else StepVerdict.FAILS
            self.probes.append(summary | {"rate": rate, "holds": verdict is StepVerdict.HOLDS})
            self.tell(f"{rate:,.1f}/s: {within / sent:.2%} of {sent:,} in time: {verdict}")
            if clear or attempt + 1 == self.search.tries:
                break
        return verdict
