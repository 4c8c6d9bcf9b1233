"""Forgetting: rows go by age, and nothing else ever leaves the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Table, delete, select, tuple_

from .database import transaction
from .schema import exposures, microseconds, outcomes

BATCH = 10_000
"""Rows of one transaction, so that writers of SQLite wait for a moment only."""


def prune(engine: Engine, before: datetime) -> tuple[int, int]:
    """Delete exposures that happened, and outcomes that came, before a time.

    Returns how many of each. Raises StoreError.
    """
    limit = microseconds(before)
    return (
        _delete(engine, exposures, exposures.c.at < limit),
        _delete(engine, outcomes, outcomes.c.received < limit),
    )


def _delete(engine: Engine, table: Table, old: ColumnElement[bool]) -> int:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(old).limit(BATCH)
    total, count = 0, BATCH
    while count == BATCH:
        with transaction(engine) as connection:
            count = connection.execute(delete(table).where(key.in_(some))).rowcount
        total += count
    return total
