"""The tables. Times are integers: microseconds since 1970, UTC, which both databases compute with.

Nothing here is ever updated: rows come once and go by age, so replicas cannot overwrite each other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects import postgresql, sqlite

from ..records import Exposure, Outcome

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
metadata = MetaData()

exposures = Table(
    "exposures",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("experiment", Text, primary_key=True),
    Column("variant", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("texts", Integer, nullable=False),
    Column("latency_seconds", Double, nullable=False),
    Column("relative_cost", Double, nullable=False),
    Column("cost", Double, nullable=False),
    Column("flops", Double, nullable=False),
    Column("escalations", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("student", Text),
    Column("label", Text),
    Column("confidence", Double),
    Column("brownout", Integer, nullable=False),
    Column("path", JSON, nullable=False),
    Column("paired", Boolean, nullable=False),
    Column("served", Boolean, nullable=False),
    Column("covariate", Double),
    Column("version", Text),
    Index("exposures_by_unit", "experiment", "unit"),
    Index("exposures_by_time", "at"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text),
    Column("experiment", Text),
    Column("unit", Text),
    Column("metric", Text, nullable=False),
    Column("number", Double),
    Column("label", Text),
    Column("at", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    CheckConstraint("(request_id IS NULL) = (unit IS NOT NULL)", name="outcomes_target"),
    CheckConstraint("(number IS NULL) = (label IS NOT NULL)", name="outcomes_value"),
    Index("outcomes_by_request", "request_id", "metric"),
    Index("outcomes_by_unit", "experiment", "unit", "metric"),
    Index("outcomes_by_time", "received"),
)

plans = Table(
    "plans",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("declared", JSON, nullable=False),
    Column("policies", JSON, nullable=False),
    Column("phases", JSON, nullable=False),
)

stops = Table(
    "stops",
    metadata,
    Column("experiment", Text, primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("variant", Text, primary_key=True),
    Column("why", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

labels = Table("labels", metadata, Column("label", Text, primary_key=True))

_PLAIN = [column.name for column in exposures.columns if column.name not in ("at", "path")]


def microseconds(time: datetime) -> int:
    """Since 1970, UTC. time: with time zone."""
    return (time - EPOCH) // timedelta(microseconds=1)


def time_of(since: int) -> datetime:
    """The inverse of `microseconds`."""
    return EPOCH + timedelta(microseconds=since)


def exposure_row(exposure: Exposure) -> dict[str, Any]:
    """As a row of `exposures`."""
    row = {name: getattr(exposure, name) for name in _PLAIN}
    row["at"] = microseconds(exposure.at)
    row["path"] = [
        [{"student": student, "label": label, "confidence": p} for student, label, p in text]
        for text in exposure.path
    ]
    return row


def outcome_row(outcome: Outcome, received: datetime) -> dict[str, Any]:
    """As a row of `outcomes`."""
    value = outcome.stored
    is_label = isinstance(value, str)
    return {
        "id": outcome.id,
        "request_id": outcome.request_id,
        "experiment": outcome.experiment,
        "unit": outcome.unit,
        "metric": outcome.metric,
        "number": None if is_label else value,
        "label": value if is_label else None,
        "at": microseconds(outcome.at or received),
        "received": microseconds(received),
    }


def insert_new(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves rows alone which are there already."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing()
