"""What was sent: addresses, mails, what they have in common; and how events are tied to it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "sent_address",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("mailing_list", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sent_address"),
        sa.UniqueConstraint("address", name="uq_sent_address_address"),
    )
    op.create_table(
        "sent_label",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sent_label"),
        sa.UniqueConstraint("words", name="uq_sent_label_words"),
    )
    op.create_table(
        "sent_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.BigInteger(), nullable=False),
        sa.Column("address_id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=True),
        sa.Column("sent_at", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sent_mail"),
    )
    op.create_index(
        "ix_sent_mail_reference_address_id", "sent_mail", ["reference", "address_id"], unique=True
    )
    op.create_index("ix_sent_mail_address_id", "sent_mail", ["address_id"])

    for column in (
        sa.Column("proved_by", sa.Integer(), nullable=True),
        sa.Column("matched_by", sa.String(length=16), nullable=True),
        sa.Column("mailed_address", sa.Text(), nullable=True),
        sa.Column("sent_message_id", sa.Text(), nullable=True),
        sa.Column("stream", sa.Text(), nullable=True),
        sa.Column("campaign", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=True),
    ):
        op.add_column("recipient_event", column)
    op.create_index(
        "ix_recipient_event_mailed_address",
        "recipient_event",
        ["mailed_address"],
        sqlite_where=sa.text("mailed_address IS NOT NULL"),
    )
