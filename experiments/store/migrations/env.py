"""Run by Alembic, on the connection that migrate.py gives."""

from alembic import context

from nestling.experiments.store.migrate import VERSION_TABLE
from nestling.experiments.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
