"""Deliveries that outlive the registry of sends; alerts by time."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reference", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("address", "reference", "delivered_at", name="pk_delivery"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alert_raised_at", "alert", ["raised_at"])
