"""Exposures for tests, and how to get them into a database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select

from nestling.experiments.records import Exposure, Outcome, StudentAsked
from nestling.experiments.store.database import transaction
from nestling.experiments.store.outcomes import Receipt, record
from nestling.experiments.store.schema import exposures
from nestling.experiments.store.writer import Writer

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = exposures.c


def exposure(number: int = 0, **fields: Any) -> Exposure:
    """One request, a second after the one before, of a unit of its own."""
    given: dict[str, Any] = {
        "request_id": f"request-{number}",
        "experiment": "colours",
        "phase": "first",
        "variant": "red",
        "unit": f"unit-{number}",
        "at": BEGIN + timedelta(seconds=number),
        "texts": 1,
        "latency_seconds": 0.01,
        "relative_cost": 0.1,
        "cost": 0.002,
        "flops": 4e6,
        "escalations": 0,
        "status": 200,
        "student": "tiny",
        "label": "music",
        "confidence": 0.9,
        "path": [[StudentAsked("tiny", "music", 0.9)]],
    }
    return Exposure(**{**given, **fields})


def write(engine: Engine, given: Iterable[Exposure]) -> None:
    """Through the writer, to the end."""
    writer = Writer(engine)
    for one in given:
        writer.add(one)
    assert writer.close(timeout=30) == 0


def reward(number: int, value: float, **fields: Any) -> Outcome:
    """Of the request with that number."""
    return Outcome(metric="reward", value=value, request_id=f"request-{number}", **fields)


def receive(
    engine: Engine, given: list[Outcome], seconds: float = 0, **deadlines: datetime
) -> list[Receipt]:
    """Outcomes that come so long after the first exposure."""
    return record(engine, given, BEGIN + timedelta(seconds=seconds), deadlines)


def count(engine: Engine) -> int:
    """Exposures in the database."""
    with transaction(engine) as connection:
        return connection.scalars(select(func.count()).select_from(exposures)).one()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
