"""The labels of all checkpoints that a record's requests were answered by."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Engine, select

from .database import transaction
from .schema import insert_new, labels

BATCH = 500
"""Names in one query; SQLite takes some thousands."""


def note_labels(engine: Engine, names: Collection[str]) -> None:
    """Have them known from now on, on all replicas. Raises StoreError."""
    with transaction(engine) as connection:
        connection.execute(insert_new(connection, labels), [{"label": name} for name in names])


def noted_labels(engine: Engine, names: Collection[str]) -> set[str]:
    """Those of at most BATCH names that some checkpoint had. Raises StoreError."""
    with transaction(engine) as connection:
        return set(connection.scalars(select(labels.c.label).where(labels.c.label.in_(names))))
