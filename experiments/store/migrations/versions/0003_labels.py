"""KnownLabels of the checkpoints that answered."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table("labels", sa.Column("label", sa.Text, primary_key=True))
    # Of checkpoints before this table, what they answered is all that is known.
    op.execute(
        "INSERT INTO labels SELECT DISTINCT label FROM exposures WHERE label IS NOT NULL "
        "UNION SELECT DISTINCT label FROM outcomes WHERE label IS NOT NULL"
    )
