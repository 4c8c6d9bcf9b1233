"""Outcomes into the database, each once, with an answer to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice

from sqlalchemy import Connection, Engine, Row, select, tuple_

from ..records import Outcome
from .database import transaction
from .schema import exposures, insert_new, outcome_row, outcomes

BATCH = 1000


class Receipt(StrEnum):
    """What became of one outcome; all but `conflict` are in the database afterwards."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """The same id with the same content is there already."""
    CONFLICT = "conflict"
    """The same id with other content is there already, and stays."""
    UNKNOWN = "unknown"
    """No exposure of its request or unit so far. It counts once there is one."""
    LATE = "late"
    """It came after the deadline of every experiment that it belongs to, and does not count."""


def record(
    engine: Engine,
    given: Sequence[Outcome],
    received: datetime,
    deadlines: Mapping[str, datetime],
) -> list[Receipt]:
    """Store outcomes; one receipt for each, in order.

    received: now, by the server's clock, which decides what is late. deadlines: of the
    experiments that have ended, the last moment at which outcomes count. Raises StoreError; what
    was stored before it stays, and sending all again makes duplicates of it.
    """
    receipts: list[Receipt] = []
    rest = iter(given)
    while batch := list(islice(rest, BATCH)):
        with transaction(engine) as connection:
            receipts += _record(connection, batch, received, deadlines)
    return receipts


def _record(
    connection: Connection,
    given: Sequence[Outcome],
    received: datetime,
    deadlines: Mapping[str, datetime],
) -> list[Receipt]:
    first: dict[str, Outcome] = {}
    for outcome in given:
        first.setdefault(outcome.id, outcome)
    # In one order everywhere: replicas that write the same rows do not deadlock.
    rows = [outcome_row(first[id], received) for id in sorted(first)]
    insert = insert_new(connection, outcomes).returning(outcomes.c.id)
    new = set(connection.scalars(insert, rows))
    found = connection.execute(select(outcomes).where(outcomes.c.id.in_(first.keys())))
    stored = {row.id: row for row in found}
    experiments = _experiments(connection, given)
    receipts = []
    for outcome in given:
        if outcome.id in new:
            new.remove(outcome.id)  # another of the same id is not new any more
            belongs = experiments.get(_target(outcome), set())
            late = belongs and all(e in deadlines and received > deadlines[e] for e in belongs)
            receipts.append(
                Receipt.LATE if late else Receipt.STORED if belongs else Receipt.UNKNOWN
            )
        else:
            row = stored.get(outcome.id)  # None if it was pruned this very moment
            same = row is None or _same(outcome, row)
            receipts.append(Receipt.DUPLICATE if same else Receipt.CONFLICT)
    return receipts


Target = tuple[str | None, str | None, str | None]


def _target(outcome: Outcome) -> Target:
    return outcome.request_id, outcome.experiment, outcome.unit


def _experiments(connection: Connection, given: Sequence[Outcome]) -> dict[Target, set[str]]:
    """In which experiments each request or unit was seen."""
    seen: dict[Target, set[str]] = {}
    e = exposures.c
    requests = {outcome.request_id for outcome in given if outcome.request_id}
    if requests:
        found = select(e.request_id, e.experiment).where(e.request_id.in_(requests)).distinct()
        for request_id, experiment in connection.execute(found):
            seen.setdefault((request_id, None, None), set()).add(experiment)
    units = {(outcome.experiment, outcome.unit) for outcome in given if outcome.unit}
    if units:
        pair = tuple_(e.experiment, e.unit)
        found = select(e.experiment, e.unit).where(pair.in_(units)).distinct()
        for experiment, unit in connection.execute(found):
            seen.setdefault((None, experiment, unit), set()).add(experiment)
    return seen


def _same(outcome: Outcome, row: Row[tuple[object, ...]]) -> bool:
    value = row.label if row.number is None else row.number
    content = (row.request_id, row.experiment, row.unit, row.metric, value)
    return content == (*_target(outcome), outcome.metric, outcome.stored)
