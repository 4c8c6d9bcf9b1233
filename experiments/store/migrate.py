"""The schema of the database, brought up to date at start by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from ...models.errors import NestlingError

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
    config = _config(connection)
    _known_heads(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raises NestlingError unless the schema is this version's. Writes nothing."""
    scripts = ScriptDirectory.from_config(_config(connection))
    if _known_heads(connection, scripts) != set(scripts.get_heads()):
        raise NestlingError(
            "store: its schema is not up to date, or it is no database of Nestling's; "
            "`nestling serve --store` brings it up to date"
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _known_heads(connection: Connection, scripts: ScriptDirectory) -> set[str]:
    """Where the schema is. Raises NestlingError for one that this version does not know."""
    known = {script.revision for script in scripts.walk_revisions()}
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    heads = set(context.get_current_heads())
    if unknown := heads - known:
        raise NestlingError(
            f"store: its schema is {', '.join(sorted(unknown))}, which this version of Nestling "
            f"does not know ({', '.join(sorted(known))}): it was written by a newer one"
        )
    return heads


def _lock(connection: Connection) -> None:
    """Until the transaction's end."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
