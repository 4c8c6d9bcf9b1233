"""What the record of experiments costs: the request's path, the database, the reports.

    python -m benchmarks.experiments.store [--postgres URL] [--rows 1000000]

Makes a SQLite file in a temporary folder; `--postgres` names an empty database to write to as well.
`add` is all that a request waits for. Rows per second are those of the writer's thread, from the
first `add` to the last commit. Then each report reads, once, all exposures of one experiment in
SQLite, every unit with four requests and an outcome for each. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine

from nestling.experiments.analysis import QUANTILES
from nestling.experiments.records import Exposure, Outcome, StudentAsked
from nestling.experiments.statistics.quantiles import quantile
from nestling.experiments.store import comparison, traffic
from nestling.experiments.store.database import open_database, transaction
from nestling.experiments.store.observations import Scope
from nestling.experiments.store.outcomes import record
from nestling.experiments.store.schema import (
    exposure_row,
    exposures,
    insert_new,
    outcome_row,
    outcomes,
)
from nestling.experiments.store.writer import Writer

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", help="URL of an empty database")
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'store.db'}")
        writes = {"sqlite": writing(engine, given.rows)}
        if given.postgres:
            writes["postgresql"] = writing(open_database(given.postgres), given.rows)
        fill(engine, given.rows)
        report_seconds = reports(engine)
    print(
        json.dumps(
            {
                "benchmark": "store",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "versions": {
                    "nestling": version("nestling"),
                    "sqlalchemy": version("sqlalchemy"),
                    "sqlite": sqlite3.sqlite_version,
                },
                "rows": given.rows,
                "exposure_us": round(1e6 * making(), 2),
                "writes": writes,
                "report_seconds": report_seconds,
            }
        )
    )


def exposure(number: int) -> Exposure:
    """Of one request in a stream of them, four for each unit, two variants."""
    unit = number // 4
    return Exposure(
        f"{number:032x}",
        "cascade-or-ta",
        "first",
        "cascade" if unit % 2 else "ta",
        f"user-{unit}",
        BEGIN + timedelta(seconds=number),
        1,
        0.001 + (number * 7919 % 1000) / 1e5,
        0.1,
        1e-6,
        4e6,
        int(number % 10 == 0),
        200,
        "tiny",
        "translate",
        0.97,
        path=((StudentAsked("tiny", "translate", 0.97),),),
        covariate=float(unit % 17),
    )


def making() -> float:
    """Seconds to make and check one exposure."""
    begin = perf_counter()
    for number in range(CHUNK):
        exposure(number)
    return (perf_counter() - begin) / CHUNK


def writing(engine: Engine, rows: int) -> dict[str, Any]:
    """Exposures through the writer, then outcomes; after the first `rows` of the stream."""
    ready = [exposure(rows + number) for number in range(5 * CHUNK)]
    writer = Writer(engine, bound=len(ready))
    begin = perf_counter()
    for one in ready:
        writer.add(one)
    added = perf_counter()
    lost = writer.close(timeout=300)
    written = perf_counter()
    now = datetime.now(UTC)
    rewards = [
        Outcome(metric="reward", value=1.0, request_id=f"{rows + n:032x}") for n in range(CHUNK)
    ]
    before_outcomes = perf_counter()
    record(engine, rewards, now, {})
    recorded = perf_counter()
    return {
        "add_us": round(1e6 * (added - begin) / len(ready), 2),
        "lost": lost,
        "exposures_per_second": round(len(ready) / (written - begin)),
        "outcomes_per_second": round(len(rewards) / (recorded - before_outcomes)),
    }


def fill(engine: Engine, rows: int) -> None:
    """The stream's beginning, with an outcome for each request."""
    now = datetime.now(UTC)
    numbers: Iterator[int] = iter(range(rows))
    while chunk := list(islice(numbers, CHUNK)):
        with transaction(engine) as connection:
            connection.execute(
                insert_new(connection, exposures), [exposure_row(exposure(n)) for n in chunk]
            )
            connection.execute(
                insert_new(connection, outcomes),
                [
                    outcome_row(
                        Outcome(metric="reward", value=n % 5 / 4, request_id=f"{n:032x}"), now
                    )
                    for n in chunk
                ],
            )


def latency_quantiles(connection: Connection, scope: Scope) -> None:
    """Those of a report, each with its interval."""
    for variant, seen in traffic.traffic(connection, scope).items():
        for p in QUANTILES:
            value_at = partial(traffic.latency_at, connection, scope, variant)
            quantile(p, seen.requests, value_at, alpha=0.05)


def reports(engine: Engine) -> dict[str, float]:
    """Seconds of each."""
    scope = Scope("cascade-or-ta", "first")
    tasks: dict[str, Callable[[Any], Any]] = {
        "traffic": lambda c: traffic.traffic(c, scope),
        "crossed_units": lambda c: traffic.crossed_units(c, scope),
        "latency_quantiles": lambda c: latency_quantiles(c, scope),
        "reward": lambda c: comparison.moments(c, scope, "reward"),
        "relative_cost": lambda c: comparison.moments(c, scope, "relative_cost"),
        "reward_series": lambda c: comparison.series(c, scope, "reward"),
    }
    taken = {}
    for name, task in tasks.items():
        with transaction(engine) as connection:
            begin = perf_counter()
            task(connection)
            taken[name] = round(perf_counter() - begin, 2)
    return taken


if __name__ == "__main__":
    main()
