"""What is measured of a server that runs: its knee, its rate in lists, its latency at rest.

Every number comes from the client of the load test, open loop, except for the rate in lists, where
all is due at once and goes out over few connections, as in MLPerf's scenario `offline`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nestling.loadtest.client.connection import OK
from nestling.loadtest.client.records import Records
from nestling.loadtest.client.target import find
from nestling.loadtest.errors import LoadtestError, check_above, check_at_least
from nestling.loadtest.knee import Knee, Search
from nestling.loadtest.load_generator import LoadGenerator
from nestling.loadtest.results.summary import Truth, outcomes, summarize
from nestling.loadtest.setup import Setup
from nestling.loadtest.texts import Texts
from nestling.loadtest.traffic.arrivals import arrivals
from nestling.loadtest.traffic.rates import steps
from nestling.loadtest.traffic.spacing import Spacing

from .registry import Peer

PATIENCE = 120.0
"""Seconds after which a request is given up, where all are due at once."""
TRIES, SAMPLES = 2, 500
"""Of a knee's search: fewer than by default, since five repeats pool what one search would."""
WARM_LISTS = 8
"""One after the other, before lists are measured: a server may not have seen one yet."""
FIRST_LOOK = 64
"""Requests by whose time it is estimated how many a server can take."""


@dataclass(frozen=True)
class Effort:
    """How long and how often. seconds: of each part, at least. Raises LoadtestError.

    max_lag_ms: of the client, whose lag counts as latency; more than for other load tests, since a
    server that fills both cores delays a client on the same ones, and a refused probe would lower
    its knee. low_rate: requests per second at which nothing waits. batch, connections: texts of a
    list, and how many lists are under way at a time. clients: connections of the estimate before a
    knee's first search. wide, narrow: factors between the rates of a first search, and of later
    ones, which start from the knee before.
    """

    repeats: int = 5
    seconds: float = 4.0
    seed: int = 0
    objective_ms: float = Setup.objective_ms
    max_lag_ms: float = 50.0
    tolerance: float = 0.05
    low_rate: float = 20.0
    batch: int = 32
    connections: int = 4
    clients: int = 64
    wide: float = 1.2
    narrow: float = 1.1

    def __post_init__(self) -> None:
        check_at_least("repeats", self.repeats, 1)
        check_above("seconds", self.seconds, 0)
        check_at_least("seed", self.seed, 0)


class Measurement:
    """Of one server that answers at `url`, in one repeat."""

    def __init__(
        self, peer: Peer, url: str, texts: Texts, effort: Effort, repeat: int,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._effort, self._tell, self._asked = effort, tell, peer.asked
        self._seed = [effort.seed, repeat]
        self._single = Setup(
            find(url),
            texts,
            {peer.protocol.name: peer.protocol},
            {peer.protocol.name: 1.0},
            objective_ms=effort.objective_ms,
            max_lag_ms=effort.max_lag_ms,
            seed=effort.seed,
        )
        self._truth = Truth(np.array(texts.labels, object))
        self._once = math.ceil(len(texts) / effort.batch)

    def all(self, knee: float | None) -> dict[str, Any]:
        """Everything. knee: of the repeats before, None for the first.

        Raises LoadtestError where the server did not answer, or the client fell behind.
        """
        effort = self._effort
        with LoadGenerator(self._single) as generator:
            at_rest = self._at_rest(generator)  # gently first, since all is cold
            in_lists = self._lists()
            start, factor = (knee, effort.narrow) if knee else (0.8 * self._estimate(), effort.wide)
            return {**at_rest, **in_lists, **self._knee(generator, start, factor)}

    def accuracy(self, asked: str) -> float:
        """Of a model, on all texts; gently, one list after the other."""
        with LoadGenerator(self._in_lists(1)) as generator:
            records = self._send_at_once(generator, self._once, asked)
        return float(self._summary(records, records.window)["accuracy"])

    def _lists(self) -> dict[str, Any]:
        """Texts per second and accuracy, all texts in lists, as often as the time asks for."""
        with LoadGenerator(self._in_lists(1)) as generator:
            self._send_at_once(generator, WARM_LISTS, self._asked)
        with LoadGenerator(self._in_lists(self._effort.connections)) as generator:
            records = self._send_at_once(generator, self._once, self._asked)
            if records.window < self._effort.seconds:
                times = math.ceil(self._effort.seconds / records.window)
                records = self._send_at_once(generator, times * self._once, self._asked)
        summary = self._summary(records, records.window)
        rate = summary["texts"] / records.window
        self._tell(f"  {rate:,.0f} texts/s in lists, accuracy {summary['accuracy']:.2%}")
        return {
            "list_texts_per_second": rate,
            "accuracy": summary["accuracy"],
            "brownout": summary["brownout"],
        }

    def _estimate(self) -> float:
        """Requests per second over many connections at once."""
        count, window = FIRST_LOOK, 0.0
        with LoadGenerator(self._at_once(self._effort.clients)) as crowd:
            while window < self._effort.seconds / 2:
                window = self._send_at_once(crowd, count, self._asked).window
                rate, count = count / window, math.ceil(count * self._effort.seconds / window)
        self._tell(f"  {rate:,.0f} requests/s over {self._effort.clients} connections")
        return rate

    def _at_rest(self, generator: LoadGenerator) -> dict[str, Any]:
        effort = self._effort
        seconds = 2 * effort.seconds
        rng = np.random.default_rng([*self._seed, 0])
        due = arrivals(steps([effort.low_rate], seconds), Spacing.POISSON, rng)
        records, _ = generator.send(due, rng, self._asked, effort.low_rate, 1.0)
        _all_answered(records)
        summary = self._summary(records, seconds)
        self._tell(f"  p50 {summary['latency_ms']['p50']:.1f} ms at {effort.low_rate:g}/s")
        return {"p50_ms": summary["latency_ms"]["p50"]}

    def _knee(self, generator: LoadGenerator, start: float, factor: float) -> dict[str, Any]:
        effort, number = self._effort, 0

        def probe(rate: float, seconds: float) -> dict[str, Any]:
            nonlocal number
            number += 1
            rng = np.random.default_rng([*self._seed, number])
            due = arrivals(steps([rate], seconds), Spacing.POISSON, rng)
            records, _ = generator.send(due, rng, self._asked, rate, 0.5)
            return self._summary(records, seconds)

        search = Search(start, effort.seconds, effort.tolerance, TRIES, SAMPLES, factor)
        found = Knee(search, probe, lambda line: self._tell(f"  {line}")).find()
        return {
            "knee_per_second": found["rate_per_second"],
            "fails_at_per_second": found["fails_at_per_second"],
            "limited_by": found["limited_by"],
            "probes": [
                {
                    "rate": round(each["rate"], 1),
                    "within_objective_share": round(each["within_objective_share"], 5),
                    "p50_ms": each["latency_ms"].get("p50"),
                    "p99_ms": each["latency_ms"].get("p99"),
                }
                for each in found["probes"]
            ],
        }

    def _summary(self, records: Records, seconds: float) -> dict[str, Any]:
        return summarize(records, seconds, self._effort.objective_ms, self._truth, 0.0)

    def _in_lists(self, connections: int) -> Setup:
        batches = {str(self._effort.batch): 1.0}
        return replace(self._at_once(connections), batches=batches, processes=1)

    def _at_once(self, connections: int) -> Setup:
        # Where everything is due at the same moment, all but the first are late on purpose.
        return replace(
            self._single,
            connections=connections,
            timeout=PATIENCE,
            max_lag_ms=1e3 * PATIENCE,
        )

    def _send_at_once(self, generator: LoadGenerator, count: int, asked: str) -> Records:
        rng = np.random.default_rng([*self._seed, count])
        records, _ = generator.send(np.zeros(count), rng, asked)
        _all_answered(records)
        return records


def _all_answered(records: Records) -> None:
    found = outcomes(records.requests.status)
    if set(found) != {str(OK)}:
        raise LoadtestError(f"not all requests were answered: {found}")
