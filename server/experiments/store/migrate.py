"""The schema of the database, brought up to date at start by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from ....models.errors import NestlingError

SCRIPTS = Path(__file__).with_name("migrations")
VERSION_TABLE = "nestling_schema"
"""Not Alembic's usual name: the database may have other tenants."""
LOCK = 0x6E65_7374
"""PostgreSQL's advisory lock of all replicas that start."""
LOCK_SECONDS = 30


def upgrade(connection: Connection) -> None:
    """Run what migrations are missing, all or none, in the transaction of `connection`.

    Of several replicas one does it and the others wait. Raises NestlingError for a schema that
    this version does not know.
    """
    _lock(connection)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    if unknown := set(context.get_current_heads()) - known:
        raise NestlingError(
            f"store: its schema is {', '.join(sorted(unknown))}, which this version of Nestling "
            f"does not know ({', '.join(sorted(known))}): it was written by a newer one"
        )
    command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    """Until the transaction's end."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
