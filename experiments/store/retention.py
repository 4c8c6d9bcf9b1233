"""Forgetting: rows go by age, and nothing else ever leaves the database."""

from __future__ import annotations

from datetime import datetime
from time import sleep

from sqlalchemy import ColumnElement, Engine, Table, delete, select, tuple_

from .database import transaction
from .schema import exposures, microseconds, outcomes

BATCH = 10_000
"""Rows of one transaction, so that writers of SQLite wait for a moment only."""
PAUSE = 0.1
"""Seconds between two of them, in which those writers get their turn."""


def prune(engine: Engine, before: datetime) -> tuple[int, int]:
    """Delete exposures that happened, and outcomes that came, before a time.

    Returns how many of each. Several replicas may do so at once: each takes other rows. Raises
    StoreError.
    """
    limit = microseconds(before)
    return (
        _delete(engine, exposures, exposures.c.at < limit),
        _delete(engine, outcomes, outcomes.c.received < limit),
    )


def _delete(engine: Engine, table: Table, old: ColumnElement[bool]) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(old).limit(BATCH)
    unlocked = some.with_for_update(
        skip_locked=True
    )  # SQLite has one writer and needs no such word
    total = 0
    while True:
        with transaction(engine) as connection:
            count = connection.execute(delete(table).where(key.in_(unlocked))).rowcount
        total += count
        if count < BATCH:
            return total
        sleep(PAUSE)
