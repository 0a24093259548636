"""The first tables: mails, their reports, the events of their recipients, and two counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    counter = op.create_table(
        "counter",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("envelope_sender", sa.Text(), nullable=True),
        sa.Column("envelope_recipients", sa.JSON(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("codec", sa.String(length=16), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("identity", name="uq_message_identity"),
    )
    op.create_index("ix_message_state", "message", ["state"])

    op.create_table(
        "recipient_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("original", sa.Text(), nullable=True),
        sa.Column("action", sa.String(length=16), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("reply_code", sa.Integer(), nullable=True),
        sa.Column("diagnostic_code", sa.Text(), nullable=True),
        sa.Column("diagnostic_type", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("remote_mta", sa.Text(), nullable=True),
        sa.Column("smtp_command", sa.Text(), nullable=True),
        sa.Column("last_attempt_date", sa.Text(), nullable=True),
        sa.Column("will_retry_until", sa.Text(), nullable=True),
        sa.Column("bounce_category", sa.Text(), nullable=True),
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("bounce_type", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("scope", sa.String(length=16), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("rule_id", sa.String(length=255), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("block", sa.JSON(), nullable=True),
        sa.Column("trust", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name="fk_recipient_event_message_id_message", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recipient_event"),
        sa.UniqueConstraint("identity", name="uq_recipient_event_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_recipient_event_canonical", "recipient_event", ["canonical"])
    op.create_index("ix_recipient_event_domain", "recipient_event", ["domain"])
    op.create_index(
        "ix_recipient_event_kind_bounce_type_reason", "recipient_event", ["kind", "bounce_type", "reason"]
    )
    op.create_index("ix_recipient_event_message_id", "recipient_event", ["message_id"])
    op.create_index("ix_recipient_event_occurred_at", "recipient_event", ["occurred_at"])
    op.create_index("ix_recipient_event_reason", "recipient_event", ["reason"])

    op.create_table(
        "report",
        sa.Column("message_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("header_message_id", sa.Text(), nullable=True),
        sa.Column("date", sa.Text(), nullable=True),
        sa.Column("from_", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("reporting_mta", sa.Text(), nullable=True),
        sa.Column("original_envelope_id", sa.Text(), nullable=True),
        sa.Column("arrival_date", sa.Text(), nullable=True),
        sa.Column("returned_message", sa.JSON(), nullable=True),
        sa.Column("feedback", sa.JSON(), nullable=True),
        sa.Column("defects", sa.JSON(), nullable=True),
        sa.Column("rules", sa.String(length=64), nullable=False),
        sa.Column("repeated", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name="fk_report_message_id_message", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", name="pk_report"),
    )
    op.create_index("ix_report_kind", "report", ["kind"])
    op.bulk_insert(counter, [{"name": "message_id", "value": 0}, {"name": "duplicates", "value": 0}])
