"""By which weights and thresholds a request was answered; unknown of those before this column."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("exposures", sa.Column("version", sa.Text))
