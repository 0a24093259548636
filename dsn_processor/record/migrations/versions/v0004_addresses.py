"""What events mean for addresses: their state, suppressions, waves, what people did, the audit log."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _times(*names: str) -> list[sa.Column[datetime]]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in names]


def upgrade() -> None:
    op.add_column("report", sa.Column("mode", sa.String(length=16), nullable=False, server_default="observe"))
    op.add_column("recipient_event", sa.Column("about", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "attempt",
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trust", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("identity", "at", "trust", name="pk_attempt"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "address_state",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("deliverability", sa.String(length=16), nullable=False),
        sa.Column("strikes", sa.Float(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        *_times("first_strike_at", "last_strike_at", "last_success_at"),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("capped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_address_state"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "suppression",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("proposed", sa.Boolean(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *_times("until"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("guarded", sa.Boolean(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("remote_mta", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("address", "kind", name="pk_suppression"),
        sqlite_with_rowid=False,
    )
    counted = sa.text("guarded AND NOT proposed")
    for column in ("domain", "remote_mta"):
        op.create_index(
            f"ix_suppression_{column}_hour", "suppression", [column, "hour"], sqlite_where=counted
        )
    op.create_table(
        "wave",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("addresses", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_wave"),
    )
    op.create_table(
        "manual_act",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=True),
        *_times("until"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_manual_act"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_manual_act_address", "manual_act", ["address"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_address", "audit", ["address"])
    op.create_table(
        "alert",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        *_times("raised_at"),
        sa.PrimaryKeyConstraint("name", name="pk_alert"),
    )
    op.create_table(
        "sent_domain",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("addresses", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name="pk_sent_domain"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO sent_domain SELECT substr(address, instr(address, '@') + 1), count(*) FROM sent_address GROUP BY 1"
    )
