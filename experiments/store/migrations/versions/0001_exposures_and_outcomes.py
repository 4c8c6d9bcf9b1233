"""Exposures and outcomes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "exposures",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("variant", sa.Text, primary_key=True),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("texts", sa.Integer, nullable=False),
        sa.Column("latency_seconds", sa.Double, nullable=False),
        sa.Column("relative_cost", sa.Double, nullable=False),
        sa.Column("cost", sa.Double, nullable=False),
        sa.Column("flops", sa.Double, nullable=False),
        sa.Column("escalations", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("student", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("confidence", sa.Double),
        sa.Column("brownout", sa.Integer, nullable=False),
        sa.Column("path", sa.JSON, nullable=False),
        sa.Column("paired", sa.Boolean, nullable=False),
        sa.Column("served", sa.Boolean, nullable=False),
        sa.Column("covariate", sa.Double),
    )
    op.create_index("exposures_by_unit", "exposures", ["experiment", "unit"])
    op.create_index("exposures_by_time", "exposures", ["at"])
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text),
        sa.Column("experiment", sa.Text),
        sa.Column("unit", sa.Text),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("number", sa.Double),
        sa.Column("label", sa.Text),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.CheckConstraint("(request_id IS NULL) = (unit IS NOT NULL)", name="outcomes_target"),
        sa.CheckConstraint("(number IS NULL) = (label IS NOT NULL)", name="outcomes_value"),
    )
    op.create_index("outcomes_by_request", "outcomes", ["request_id", "metric"])
    op.create_index("outcomes_by_unit", "outcomes", ["experiment", "unit", "metric"])
    op.create_index("outcomes_by_time", "outcomes", ["received"])
